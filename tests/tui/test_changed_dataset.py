"""A dataset that another program changes while its bench is open: told in words, read anew, and never the app's end."""

from __future__ import annotations

import json

import pytest
from conftest import settled, until
from textual.widgets import Static

from workbench.datasets.spec import Dataset
from workbench.tui.dialogs.dataset_view import DatasetView
from workbench.tui.screens.matrix import MatrixScreen
from workbench.tui.widgets.case_view import CaseField

WIDE, NARROW = (160, 45), (80, 24)
NEW = [{"message": f"new {n}", "expected": "Lantern"} for n in range(5)]


def write(folder, rows) -> None:
    (folder / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def told(app) -> str:
    return "\n".join(str(one.message) for one in app._notifications)


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_the_next_case_is_that_of_the_file_as_it_is_now(app, folder, size):
    async with app.run_test(size=size) as pilot:
        screen = await settled(pilot)
        write(folder, NEW)
        await pilot.press("ctrl+down")
        await until(pilot, lambda: screen.query(CaseField).first().text == "new 1")
        await until(
            pilot, lambda: "cases.jsonl was changed by another program, and was read again: 5 cases." in told(app)
        )


async def test_a_dataset_that_is_gone_bad_leaves_a_bench_without_cases(app, folder):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        (folder / "cases.jsonl").write_text("no rows at all")
        await pilot.press("ctrl+down")
        await until(pilot, lambda: "cannot be read any more" in told(app))
        assert len(screen.session.cases) == 0
        write(folder, NEW)
        screen.session.reload_cases()
        await pilot.press("ctrl+down")
        await until(pilot, lambda: screen.query(CaseField).first().text.startswith("new"))


async def test_a_run_is_one_over_the_file_as_it_is_now(app, folder):
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        write(folder, NEW)
        await pilot.press("f6")
        await until(pilot, lambda: isinstance(pilot.app.screen, MatrixScreen))
        await until(pilot, lambda: pilot.app.screen.table.count == 5)


async def test_what_was_decided_and_what_cannot_be_read_stands_in_the_preview(app, folder):
    (folder / "semi.csv").write_text("frage;expected\n1,5;x\nbroken\n")
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await app.push_screen(DatasetView(Dataset("semi.csv"), folder))
        view = pilot.app.screen
        await until(
            pilot,
            lambda: "1 of the sampled rows are unreadable" in str(view.query_one("#dataset-preview", Static).visual),
        )
        assert "Fields are separated by semicolons." in str(view.query_one("#dataset-preview", Static).visual)


@pytest.mark.parametrize("long", ["word " * 120_000, "x" * 600_000, "line\n" * 120_000])
async def test_a_long_field_shows_its_beginning_and_is_sent_whole(app, folder, long):
    write(folder, [{"message": "short", "expected": "x"}, {"message": long, "expected": "x"}])
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        field = screen.query(CaseField).first()
        await pilot.press("ctrl+down")
        await until(pilot, lambda: "600,000 characters; the first 20,000 are shown" in field.text)
        assert len(field.text) < 21_000  # with the whole text in the field the screen would stand for seconds
        field.focus()
        await pilot.press("a", "b")
        assert (field.value, field.read_only, screen.session.case.variables["message"]) == (long, True, long)
        assert not screen.session.case_is_typed
        await pilot.press("ctrl+up")
        await until(pilot, lambda: (field.text, field.read_only) == ("short", False))


async def test_a_long_field_is_cut_in_the_preview_with_its_length(app, folder):
    write(folder, [{"message": "word " * 120_000, "expected": "x"}])
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await app.push_screen(DatasetView(Dataset("cases.jsonl"), folder))
        view = pilot.app.screen
        await until(pilot, lambda: "(600,000 characters)" in str(view.query_one("#dataset-preview", Static).visual))
