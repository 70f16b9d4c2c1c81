"""Every screen and dialog in a small terminal: nothing of a dialog lies beyond its frame, and the focus can be seen."""

from __future__ import annotations

import pytest
from gallery import LOOKS, NAME, SIZES, GalleryScreens, visit
from textual.widget import Widget
from textual.widgets import Label


@pytest.mark.parametrize("size", SIZES[:2], ids=["80x24", "120x30"])
async def test_a_dialog_holds_all_its_parts_and_the_focus_is_on_the_screen(tmp_path, monkeypatch, size):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    every = GalleryScreens(tmp_path, NAME)
    problems: list[str] = []
    seen = 0
    async for name, app in visit(every, size, LOOKS[0]):
        seen += 1
        screen = app.screen
        for frame in screen.query(".dialog, .panel"):
            if frame.region not in screen.region:
                problems.append(f"{name}: {frame} is not on the screen")
            outside = [part for part in frame.children if part.display and part.region not in frame.region]
            problems += [f"{name}: {part} is cut off" for part in outside]
        problems += [f"{name}: the label {label.visual} is cut off" for label in screen.query(Label) if is_cut(label)]
        if screen.focused is not None and not is_visible(screen.focused):
            problems.append(f"{name}: the focused {screen.focused} cannot be seen")
    every.pool.close()
    assert problems == []
    assert seen == len(every.dialogs()) + 11 + 3  # the bench, ten screens, three questions


def is_cut(label: Label) -> bool:
    """Whether its text has more lines at its width than it has rows."""
    shown = label.is_on_screen and label.styles.text_overflow != "ellipsis"
    return shown and label.visual.get_height({}, label.content_size.width) > label.content_size.height


def is_visible(widget: Widget) -> bool:
    return widget.display and widget.region.area > 0 and widget.screen.region.overlaps(widget.region)
