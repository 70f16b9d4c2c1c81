"""Pictures of a verdict at a fixed size, from fixed numbers: nothing of it is measured here."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import settled, until
from textual.widgets import Input
from verdict_fixture import VERDICT

from workbench.training.contenders import VerdictRequest
from workbench.tui.screens.verdict import VerdictScreen
from workbench.tui.verdicts import VerdictTask

WIDE, NARROW = (160, 45), (80, 24)


@pytest.fixture(autouse=True)
def stillness(monkeypatch: pytest.MonkeyPatch) -> None:
    """No blinking, no sliding: a picture must not depend on the moment."""
    monkeypatch.setattr(Input, "_toggle_cursor", lambda _self: None)
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")


def reached() -> VerdictTask:
    """A verdict that was reached without asking anybody."""
    task = VerdictTask(lambda *_: pytest.fail("nobody is asked"), VerdictRequest(Path("demo.bench.yaml")), ())
    task.result = VERDICT
    return task


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_a_verdict(snap_compare, app, size):
    async def act(pilot) -> None:
        pilot.app.animation_level = "none"
        screen = await settled(pilot)
        screen.state.verdicts.current = reached()
        await pilot.press("f10")
        await until(pilot, lambda: isinstance(pilot.app.screen, VerdictScreen))
        table = pilot.app.screen.query_one("#verdict-table")
        await until(pilot, lambda: "adapter" in str(table.visual))
        plot = pilot.app.screen.query_one("#verdict-tokens")
        await until(pilot, lambda: plot.size.width > 0)
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=act)


def test_what_is_weighed(snap_compare, app):
    async def act(pilot) -> None:
        pilot.app.animation_level = "none"
        await settled(pilot)
        await pilot.press("f10")
        await until(pilot, lambda: isinstance(pilot.app.screen, VerdictScreen))
        title = pilot.app.screen.query_one("#verdict-title")
        await until(pilot, lambda: "demo.bench.yaml" in str(title.visual))
        await pilot.pause()

    assert snap_compare(app, terminal_size=WIDE, run_before=act)
