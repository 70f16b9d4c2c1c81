"""ThemePicker: every theme, in its own colours. Dismissed with a Picked."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content
from textual.theme import Theme

from workbench.tui.theme import AUTO
from workbench.tui.widgets.picker import Picker, PickerRow

_PARTS = ("primary", "secondary", "accent", "success", "error")


class ThemePicker(Picker):
    """The themes of the workbench first, then Textual's."""

    def __init__(self, themes: Iterable[Theme], current: str) -> None:
        self._themes = {theme.name: theme for theme in themes if not theme.ansi}
        own = sorted(self._themes, key=lambda name: (not name.startswith("workbench"), name))
        rows = [PickerRow(AUTO, "auto", "light or dark, as the terminal is")]
        rows += [PickerRow(name, name, "dark" if self._themes[name].dark else "light") for name in own]
        super().__init__("Theme", rows, "No themes.", current=current)

    def write_row(self, choice: PickerRow) -> Content:
        theme = self._themes.get(choice.id)
        words = Content.assemble(f"{choice.title:<24}", (f"{choice.note}  ", "$foreground 60%"))
        colors = [getattr(theme, part) for part in _PARTS] if theme else []
        return Content.assemble(words, *(("■ ", color) for color in colors if color))
