"""The doctor from the palette: a row for each check as it comes, its command copied, stopped when one leaves."""

from __future__ import annotations

import threading

import pytest
from conftest import bench_of, settled, until
from textual.widgets import Label, OptionList, Static

from workbench.doctor.finding import failed, ok, warning
from workbench.errors import EngineError
from workbench.tui import checkup_task
from workbench.tui.dialogs.doctor_view import DoctorView

FINDINGS = [
    ok("sqlite", "3.45"),
    warning("card A", "not used", "make run GPU=cuda"),
    failed("tmux", "[b]off", "tmux on"),
]


async def opened(pilot) -> DoctorView:
    await settled(pilot)
    bench_of(pilot.app).action_do("doctor")
    await until(pilot, lambda: isinstance(pilot.app.screen, DoctorView))
    return pilot.app.screen


def state(view: DoctorView) -> str:
    return str(view.query_one("#doctor-state", Label).visual)


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_each_check_is_a_row_and_the_first_problem_is_chosen_with_its_command(make_app, monkeypatch, size):
    monkeypatch.setattr(checkup_task, "run_checks", lambda on_cancel: iter(FINDINGS))
    async with make_app().run_test(size=size) as pilot:
        view = await opened(pilot)
        listed = view.query_one(OptionList)
        await until(pilot, lambda: listed.option_count == 3 and "of 3" in state(view))
        assert state(view) == "1 of 3 checks failed; 1 could be better."
        assert "✗ tmux  [b]off" in str(listed.get_option_at_index(2).prompt)
        await until(pilot, lambda: "Run: tmux on" in str(view.query_one("#doctor-detail", Static).visual))
        await pilot.press("enter")
        assert pilot.app.clipboard == "tmux on"
        await pilot.press("home", "c")
        await until(pilot, lambda: "Nothing needs to be run" in [*pilot.app._notifications][-1].message)
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is bench_of(pilot.app))


async def test_leaving_stops_the_checks(make_app, monkeypatch):
    stopped = threading.Event()

    def run_checks(on_cancel):
        yield FINDINGS[0]
        on_cancel(stopped.set)
        assert stopped.wait(120)
        raise EngineError("The checks were stopped.")

    monkeypatch.setattr(checkup_task, "run_checks", run_checks)
    async with make_app().run_test(size=(80, 24)) as pilot:
        view = await opened(pilot)
        await until(pilot, lambda: view.query_one(OptionList).option_count == 1)
        assert state(view) == "1 checked, checking… Each engine takes a few seconds."
        await pilot.press("escape")
        await until(pilot, stopped.is_set)
