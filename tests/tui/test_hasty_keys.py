"""Keys that come faster than a dialog is made, or after it was left, end nothing."""

from __future__ import annotations

import pytest
from conftest import settled, until

from workbench.tui.screens.bench import BenchScreen

DIALOGS = ["s", "e", "t", "n", "m", "p", "d", "v", "ctrl+o", "ctrl+t", "f1", "E"]


@pytest.mark.parametrize("after", [("escape",), ("up", "enter"), ("z", "escape"), ("down", "z", "tab", "escape")])
async def test_no_key_is_too_early_for_a_dialog(app, after):
    """All keys are in the queue before the dialog is composed."""
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await settled(pilot)
        for key in DIALOGS:
            screen.panes[1].focus()
            await pilot.pause()
            for pressed in (key, *after):
                app.simulate_key(pressed)
            await pilot.pause()
            for _ in range(8):
                if isinstance(app.screen, BenchScreen):
                    break
                await pilot.press("escape")
            await until(pilot, lambda: isinstance(app.screen, BenchScreen))
        assert app.is_running
        assert len(screen.panes) == len(screen.session.variants)
