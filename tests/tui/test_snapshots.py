"""Pictures of each screen and state, at a fixed size, on a scripted model, with a cursor that does not blink.

After a change that is meant to show: `pytest tests/tui/test_snapshots.py --snapshot-update`, then look at the SVGs.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import BENCH, SCRIPT, settled, until
from textual.widgets import Input, TextArea

from workbench import paths
from workbench.tui.dialogs.adapter_panel import AdapterPanel
from workbench.tui.dialogs.confirm import ConfirmDialog
from workbench.tui.dialogs.difference import DifferenceView
from workbench.tui.dialogs.example_editor import ExampleEditor
from workbench.tui.dialogs.explanation import Explanation
from workbench.tui.dialogs.final_prompt import FinalPrompt
from workbench.tui.dialogs.help import Help
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.dialogs.pane_settings import PaneSettings
from workbench.tui.dialogs.text_viewer import TextViewer
from workbench.tui.dialogs.token_view import TokenView
from workbench.tui.widgets.case_view import CaseField
from workbench.tui.widgets.picker import Picker

WIDE, NARROW = (160, 45), (80, 24)
HOSTILE = (
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 [bold]markup[/bold] [@click=app.quit]quit[/]\n"
    "bell\x07 back\x08space \x9b2J null\x00 \u202eoverride\u202c\n"
    "שלום עולם  مرحبا\n"
    "漢字 かな 한글 👩‍👩‍👧 🇩🇪 é e\u0301 👍🏽\n"
    "| a | b |\n\tafter a tab\r\nlast line"
)


@pytest.fixture(autouse=True)
def stillness(monkeypatch: pytest.MonkeyPatch) -> None:
    """No blinking, no sliding: a picture must not depend on the moment."""
    monkeypatch.setattr(TextArea, "_toggle_cursor_blink_visible", lambda _self: None)
    monkeypatch.setattr(Input, "_toggle_cursor", lambda _self: None)
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")


@pytest.fixture
def compare(snap_compare, app):
    """Compare a picture of the app, taken after `act` once every pane has settled."""

    def check(act=None, size=WIDE, app=app, settle=True) -> bool:
        async def before(pilot) -> None:
            pilot.app.animation_level = "none"
            if settle:
                await settled(pilot)
                await until(pilot, lambda: measured(pilot.app))
            if act is not None:
                await act(pilot)
            await until(pilot, lambda: measured(pilot.app))
            await pilot.pause()

        return snap_compare(app, terminal_size=size, run_before=before)

    return check


def measured(app) -> bool:
    """Whether the meter shows the prompt that stands in the editor, or cannot, and every curve is complete."""
    screen = app.bench_screen
    loading = all(pane.state == "loading" for pane in screen.panes)
    probed = all(probability is not None for pane in screen.panes for _, probability in pane._curve)
    curves = [pane._curve for pane in screen.panes if pane.has_class("-adapted") and pane.state == "done"]
    known = screen.edit.meter.known or screen.edit.editor.has_class("-problem")
    return loading or (known and probed and all(curves))


async def type_case(pilot, text: str) -> None:
    pilot.app.bench_screen.query(CaseField).first().load_text(text)


def opens(*keys: str, dialog: type):
    """Press keys, and wait until their dialog is there."""

    async def act(pilot) -> None:
        await pilot.press(*keys)
        await until(pilot, lambda: isinstance(pilot.app.screen, dialog))

    return act


def test_wide(compare):
    assert compare()


def test_narrow(compare):
    assert compare(size=NARROW)


def test_light(compare):
    async def act(pilot):
        await pilot.press("f3")

    assert compare(act)


def test_narrow_with_the_second_pane_and_no_editor(compare):
    async def act(pilot):
        await pilot.press("escape", "2", "f2")
        await until(pilot, lambda: pilot.app.bench_screen.controller.chosen == 1)

    assert compare(act, size=NARROW)


def test_examples_and_their_cost(compare):
    async def act(pilot):
        screen = pilot.app.bench_screen
        await pilot.press("f8")
        screen.edit.examples.focus()
        await pilot.press("down", "space")
        await until(pilot, lambda: screen.session.variants[1].examples_off == ("e2",))
        await until(pilot, lambda: screen.panes[1].state == "done" and bool(screen.edit.examples._costs))

    assert compare(act)


def test_thinking_is_told_from_the_answer(compare):
    async def act(pilot):
        await pilot.press("ctrl+down")
        await until(pilot, lambda: all(pane.scores for pane in pilot.app.bench_screen.panes))

    assert compare(act)


def test_a_template_error(compare):
    async def act(pilot):
        screen = pilot.app.bench_screen
        screen.edit.editor.insert("{{ oops\n")
        await until(pilot, lambda: screen.panes[0].state == "failed")

    assert compare(act)


def test_running_then_cancelled(compare):
    async def act(pilot):
        screen = pilot.app.bench_screen
        await type_case(pilot, "hold")
        await until(pilot, lambda: all(pane.state in ("running", "queued") for pane in screen.panes))

    assert compare(act)


def test_failed(compare):
    async def act(pilot):
        await type_case(pilot, "fail")
        await until(pilot, lambda: all(pane.state == "failed" for pane in pilot.app.bench_screen.panes))

    assert compare(act)


def test_cancelled(compare):
    async def act(pilot):
        screen = pilot.app.bench_screen
        await type_case(pilot, "hold")
        await until(pilot, lambda: all(pane.state in ("running", "queued") for pane in screen.panes))
        await pilot.press("escape")
        await until(pilot, lambda: all(pane.state == "cancelled" for pane in screen.panes))

    assert compare(act)


def test_loading(compare, make_app, folder: Path):
    (folder / "desk.script.json").write_text(json.dumps({**SCRIPT, "load": "holds"}))

    async def act(pilot):
        screen = pilot.app.bench_screen
        await until(pilot, lambda: [pane.state for pane in screen.panes] == ["loading"] * 4)

    async def open_first(pilot):
        await until(pilot, lambda: bool(pilot.app.bench_screen and len(pilot.app.bench_screen.panes) == 4))
        await act(pilot)

    assert compare(open_first, settle=False)


def test_hostile_model_text_is_inert_and_aligned(compare, make_app, folder: Path):
    (folder / "desk.script.json").write_text(json.dumps({"rules": [{"reply": HOSTILE}]}))
    assert compare(app=make_app())


def test_eight_panes(compare, make_app, folder: Path):
    extra = BENCH[BENCH.index("  - name") :]
    for name in ("plain", "listed", "bare", "warm"):
        extra = extra.replace(f"name: {name}\n", f"name: {name} too\n")
    (folder / "eight.bench.yaml").write_text(BENCH + extra)
    assert compare(app=make_app(bench="eight.bench.yaml"))


def test_a_prompt_that_does_not_fit(compare, make_app, folder: Path):
    (folder / "desk.script.json").write_text(json.dumps({**SCRIPT, "context_tokens": 270}))
    assert compare(app=make_app())


def test_a_bench_without_a_dataset(compare, make_app, folder: Path):
    (folder / "bare.bench.yaml").write_text(
        "variants:\n  - name: plain\n    prompt: queues/plain\n    model: desk.script.json\n"
    )
    assert compare(app=make_app(bench="bare.bench.yaml"))


def test_pane_settings(compare):
    assert compare(opens("escape", "s", dialog=PaneSettings))


def test_pane_settings_narrow(compare):
    assert compare(opens("escape", "s", dialog=PaneSettings), size=NARROW)


def test_explanation(compare):
    assert compare(opens("escape", "e", dialog=Explanation))


def test_final_prompt(compare):
    assert compare(opens("ctrl+t", dialog=FinalPrompt))


def test_library(compare):
    assert compare(opens("ctrl+o", dialog=Picker))


def test_example_editor(compare):
    async def act(pilot):
        await pilot.press("f8")
        pilot.app.bench_screen.edit.examples.focus()
        await opens("enter", dialog=ExampleEditor)(pilot)

    assert compare(act)


def test_quitting_with_unsaved_changes(compare):
    assert compare(opens("x", "ctrl+q", dialog=ConfirmDialog))


def test_rename(compare):
    assert compare(opens("escape", "n", dialog=NameInput))


def test_view(compare):
    assert compare(opens("escape", "v", dialog=TextViewer))


def test_adapters_of_a_pane(compare, folder: Path):
    async def act(pilot):
        screen = pilot.app.bench_screen
        screen.session.add_adapter(0, "routes")
        screen.session.add_adapter(0, "tone")
        screen.session.step_scale(0, 1, -5)
        screen.session.toggle_adapter(0, 1)
        await screen.controller.refresh()
        await until(pilot, lambda: screen.panes[0].completion.text == "Lantern routes 1")
        await opens("escape", "p", dialog=AdapterPanel)(pilot)

    (folder / "routes").mkdir()
    (folder / "routes/adapter_config.json").write_text("{}")
    assert compare(act)


def test_difference(compare):
    assert compare(opens("escape", "d", dialog=DifferenceView))


def test_tokens(compare):
    assert compare(opens("escape", "t", dialog=TokenView))


def test_help(compare, monkeypatch):
    monkeypatch.setattr(paths, "settings_file", lambda: Path("~/.config/workbench/settings.toml"))
    assert compare(opens("f1", dialog=Help))
