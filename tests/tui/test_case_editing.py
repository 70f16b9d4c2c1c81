"""Cases kept, corrected and chosen from the screen: every change of a file is shown before it is written."""

from __future__ import annotations

import json

from conftest import bench_of, settled, until
from textual.widgets import Input, Label, Static

from workbench.tui.actions.bench import ask_for_trust
from workbench.tui.dialogs.confirm import ConfirmDialog
from workbench.tui.dialogs.dataset_view import DatasetView, read_fields, write_fields
from workbench.tui.widgets.case_view import CaseField

WIDE = (160, 45)


def rows(folder) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "cases.jsonl").read_text().splitlines()]


async def answer(pilot, action: str, key: str) -> None:
    """Start an action and answer its question: enter takes the first answer, escape the safe one."""
    bench_of(pilot.app).action_do(action)
    await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
    await until(pilot, lambda: pilot.app.focused is not None)
    await pilot.press(key)


async def test_what_is_typed_becomes_a_case(app, folder):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        screen.query(CaseField).first().load_text("My parcel is wet.")
        await until(pilot, lambda: screen.session.case_is_typed)
        await answer(pilot, "keep_case", "enter")
        await until(pilot, lambda: len(screen.session.cases) == 4)
        assert rows(folder)[3] == {"message": "My parcel is wet.", "expected": "Lantern"}
        await until(pilot, lambda: screen.session.case.number == 4)


async def test_a_change_that_is_not_agreed_to_is_not_written(app, folder):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        before = (folder / "cases.jsonl").read_bytes()
        await answer(pilot, "expect_answer", "escape")
        await until(pilot, lambda: pilot.app.screen is screen)
        assert (folder / "cases.jsonl").read_bytes() == before


async def test_an_answer_becomes_the_expected_one(app, folder):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await answer(pilot, "expect_answer", "enter")
        await until(pilot, lambda: screen.session.case.expected == "Refunds")
        assert [row["expected"] for row in rows(folder)] == ["Refunds", "Abacus", "Meadow"]


async def test_typing_is_written_into_its_row(app, folder):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        screen.query(CaseField).first().load_text("The parcel is late.")
        await until(pilot, lambda: screen.session.case_is_typed)
        await answer(pilot, "write_case", "enter")
        await until(pilot, lambda: not screen.session.case_is_typed)
        assert rows(folder)[0]["message"] == "The parcel is late."


async def test_how_a_dataset_is_read_can_be_changed_with_a_preview(app, folder):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        screen.action_do("choose_dataset")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
        await until(pilot, lambda: pilot.app.focused is not None)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, DatasetView))
        view = pilot.app.screen
        await until(pilot, lambda: "The parcel never came." in str(view.query_one("#dataset-preview", Static).visual))
        view.query_one("#dataset-where", Input).value = "expected"
        await until(pilot, lambda: "expected name=value" in str(view.query_one("#dataset-problem", Label).visual))
        view.query_one("#dataset-where", Input).value = "expected=Abacus"
        await until(pilot, lambda: str(view.query_one("#dataset-problem", Label).visual) == "")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: len(screen.session.cases) == 1)
        assert screen.session.case.number == 2
        assert screen.session.bench.dataset.where == {"expected": "Abacus"}


async def test_the_automatic_split_is_written_into_the_bench(app, folder):
    every = [{"message": f"My parcel {at} is late.", "expected": "Lantern"} for at in range(60)]
    (folder / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in every))
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await answer(pilot, "write_split", "escape")
        await until(pilot, lambda: pilot.app.screen is screen)
        assert len(screen.session.cases) == 60 and screen.session.bench.dataset.auto_split is None
        await answer(pilot, "write_split", "enter")
        await until(pilot, lambda: screen.session.bench.dataset.auto_split is not None)
        written = screen.session.bench.dataset
        assert (written.split, len(screen.session.cases)) == ("test", 24)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: f"seed: {written.auto_split.seed}" in (folder / "demo.bench.yaml").read_text())
        pilot.app.clear_notifications()
        screen.action_do("write_split")
        await until(pilot, lambda: bool(pilot.app._notifications))
        assert "has an automatic split" in next(iter(pilot.app._notifications)).title


async def test_data_with_splits_of_their_own_have_nothing_to_write(app, folder):
    for name in ("train", "validation", "test"):
        (folder / f"{name}.jsonl").write_text(json.dumps({"message": f"My parcel, {name}.", "expected": "Lantern"}))
    path = folder / "demo.bench.yaml"
    path.write_text(path.read_text().replace("cases.jsonl", "test.jsonl"))
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        screen.action_do("write_split")
        await until(pilot, lambda: bool(pilot.app._notifications))
        assert "the data have splits of their own" in next(iter(pilot.app._notifications)).title


async def test_the_fields_say_the_dataset_back():
    from workbench.datasets.spec import Dataset

    dataset = Dataset(
        "a.csv", columns={"message": "body"}, expected="queue", where={"language": ("en", "de")}, sample=5, limit=3
    )
    assert read_fields(dataset, write_fields(dataset)) == dataset


async def test_code_of_a_bench_runs_only_when_a_person_agrees(make_app, folder):
    (folder / "judge.py").write_text(
        "from pathlib import Path\nPath(__file__).with_name('ran').touch()\ndef score(answer):\n    return 1\n"
    )
    text = (folder / "demo.bench.yaml").read_text() + "scorers:\n  - exact_match\n  - python: {file: judge.py}\n"
    (folder / "demo.bench.yaml").write_text(text)
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
        assert [score.scorer for score in screen.panes[0].scores] == ["exact_match"]
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen)
        assert not (folder / "ran").exists()
        screen.ui.start(ask_for_trust(screen.controller, screen.ui))
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
        await until(pilot, lambda: pilot.app.focused is not None)
        await pilot.press("left", "enter")
        await until(pilot, lambda: [score.scorer for score in screen.panes[0].scores] == ["exact_match", "python"])
        assert (folder / "ran").exists()


async def test_tools_in_a_file_are_asked_about_and_run_only_then(make_app, folder):
    (folder / "tools.py").write_text("from pathlib import Path\nPath(__file__).with_name('ran').touch()\n")
    text = (folder / "demo.bench.yaml").read_text() + "tools:\n  python: {file: tools.py}\n"
    (folder / "demo.bench.yaml").write_text(text)
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
        shown = " ".join(str(one.content) for one in pilot.app.screen.query(Static))
        assert str(folder / "tools.py") in shown
        assert not (folder / "ran").exists()
