"""The matrix screen on a scripted model: a run begun by one key, looked at from all sides."""

from __future__ import annotations

import json

import msgspec
from conftest import bench_of, settled, until
from textual.widgets import Input, Static, TextArea

from workbench.tui.dialogs.cell_view import CellView
from workbench.tui.dialogs.confusion import ConfusionView
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.dialogs.plots import Plots
from workbench.tui.dialogs.text_viewer import TextViewer
from workbench.tui.screens.matrix import MatrixScreen
from workbench.tui.screens.votes import VoteScreen
from workbench.tui.widgets.picker import Picker

WIDE, NARROW = (160, 45), (80, 24)


async def matrix(pilot) -> MatrixScreen:
    """The matrix of a finished run of the whole dataset."""
    await settled(pilot)
    await pilot.press("f6")
    await until(pilot, lambda: isinstance(pilot.app.screen, MatrixScreen))
    screen = pilot.app.screen
    await until(pilot, lambda: screen.runs.current is not None and not screen.runs.current.running)
    await until(pilot, lambda: screen.table.count == 3 and screen.browser.row_at(0) is not None)
    return screen


def signs(screen) -> list[str]:
    """The signs of each row, such as ✗✓✓✗."""
    return ["".join(mark.sign for mark in screen.browser.line_at(index).marks) for index in range(screen.table.count)]


async def test_one_key_runs_every_case_against_every_variant(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await matrix(pilot)
        await until(pilot, lambda: signs(screen) == ["✗✓✓✗", "✓✗✓✓", "✗✗✗✗"])
        assert screen.browser.names == ("plain", "listed", "bare", "warm")


async def test_the_figures_come_from_a_process_of_their_own(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await matrix(pilot)
        await until(pilot, lambda: screen.browser.summary is not None and screen.browser.summary.variants[1].n == 3)
        assert screen.browser.summary.best == "bare"
        assert "0.67" in str(screen.strip.visual)


async def test_filters_search_and_classes_narrow_the_rows(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await matrix(pilot)
        await pilot.press("f")
        await until(pilot, lambda: screen.browser.filter.show == "failures" and screen.table.count == 3)
        await pilot.press("f")
        await until(pilot, lambda: screen.browser.filter.show == "different" and screen.table.count == 3)
        await pilot.press("f")
        await until(pilot, lambda: screen.browser.filter.show == "errors" and screen.table.count == 0)
        await pilot.press("f")
        await until(pilot, lambda: screen.table.count == 3)
        await pilot.press("slash", *"morning")
        await until(pilot, lambda: screen.table.count == 1)
        await pilot.press("escape")
        await until(pilot, lambda: screen.table.count == 3)
        assert not screen.query_one("#matrix-search", Input).has_class("-open")
        await pilot.press("c")
        await until(pilot, lambda: isinstance(pilot.app.screen, Picker))
        await pilot.press(*"Abacus", "enter")
        await until(pilot, lambda: screen.table.count == 1 and screen.browser.filter.expected == "Abacus")


async def test_chips_show_every_filter_with_its_count_and_escape_takes_back_one_thing(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await matrix(pilot)
        shown = "[all 3]  failures 3   differ 3   errors 0"
        await until(pilot, lambda: shown in str(screen.chips.visual))
        assert "metric ‹exact match›" in str(screen.chips.visual)
        await pilot.press("f")
        await until(pilot, lambda: "[failures 3]" in str(screen.chips.visual))
        await pilot.press("slash", *"morning", "enter")
        await until(pilot, lambda: "[failures 1]" in str(screen.chips.visual))
        assert "“morning”" in str(screen.chips.visual)
        await pilot.press("escape")
        await until(pilot, lambda: "[failures 3]" in str(screen.chips.visual))
        await pilot.press("escape")
        await until(pilot, lambda: "[all 3]" in str(screen.chips.visual))
        await pilot.click(screen.chips, offset=(12, 0))
        await until(pilot, lambda: screen.browser.filter.show == "failures")
        await pilot.press("escape", "escape")
        await until(pilot, lambda: pilot.app.screen is bench_of(pilot.app))
        assert bench_of(pilot.app).controller.is_on_pane


async def test_the_metric_is_stepped_and_failures_go_by_it(app, folder):
    with (folder / "demo.bench.yaml").open("a") as file:
        file.write("scorers: [exact_match, contains]\n")
    async with app.run_test(size=WIDE) as pilot:
        screen = await matrix(pilot)
        await until(pilot, lambda: "metric ‹exact match› 1/2" in str(screen.chips.visual))
        await pilot.press("m")
        await until(pilot, lambda: "metric ‹contains› 2/2" in str(screen.chips.visual))
        assert screen.browser.filter.metric == "contains"
        await until(pilot, lambda: str(screen.strip.visual).lstrip().startswith("contains"))
        await pilot.press("m")
        await until(pilot, lambda: "1/2" in str(screen.chips.visual))


async def test_the_list_of_runs_shows_their_scores(app):
    async with app.run_test(size=WIDE) as pilot:
        await matrix(pilot)
        await pilot.press("o")
        await until(pilot, lambda: isinstance(pilot.app.screen, Picker))
        assert "plain 0.33, listed 0.33, bare 0.67" in pilot.app.screen._choices[0].note


async def test_the_order_can_be_changed(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await matrix(pilot)
        await pilot.press("s")
        await until(pilot, lambda: isinstance(pilot.app.screen, Picker))
        await pilot.press(*"listed lowest", "enter")
        await until(pilot, lambda: screen.browser.row_at(0) is not None and screen.browser.row_at(0).number == 2)


async def test_a_cell_tells_everything_and_opens_on_the_bench(app):
    async with app.run_test(size=WIDE) as pilot:
        await matrix(pilot)
        await pilot.press("down", "right", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, CellView))
        text = pilot.app.screen.query_one("#cell-text", Static)
        await until(pilot, lambda: "Abacus" in str(text.visual))
        assert "You charged my card two times." in str(text.visual)
        assert "Queues: Lantern, Abacus" in str(text.visual)
        await pilot.press("o")
        await until(pilot, lambda: pilot.app.screen is bench_of(pilot.app))
        await until(pilot, lambda: bench_of(pilot.app).session.bench.case == 2)
        await until(pilot, lambda: bench_of(pilot.app).controller.chosen == 1)


async def test_plots_open_and_labels_that_do_not_repeat_have_no_confusion_matrix(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await matrix(pilot)
        await until(pilot, lambda: screen.browser.summary is not None and screen.browser.summary.variants[3].n == 3)
        await pilot.press("p")
        await until(pilot, lambda: isinstance(pilot.app.screen, Plots))
        await pilot.press("right", "escape")
        await until(pilot, lambda: pilot.app.screen is screen)
        await pilot.press("t")
        await until(pilot, lambda: any("no confusion matrix" in notice.title for notice in pilot.app._notifications))


async def test_the_confusion_matrix_counts_what_was_answered_for_what(app, folder):
    cases = [("The parcel came.", "Lantern"), ("You charged me.", "Abacus")] * 2
    rows = (
        json.dumps({"message": f"{number} {text}", "expected": label}) for number, (text, label) in enumerate(cases)
    )
    (folder / "cases.jsonl").write_text("\n".join(rows))
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("f6")
        await until(pilot, lambda: isinstance(pilot.app.screen, MatrixScreen))
        screen = pilot.app.screen
        await until(pilot, lambda: screen.browser.summary is not None and screen.browser.summary.variants[3].n == 4)
        await pilot.press("t")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfusionView))
        text = str(pilot.app.screen.query_one("#confusion-text", Static).visual)
        assert [line.split() for line in text.splitlines()][1:] == [
            ["Abacus", "2", "·", "·", "100%"],
            ["Lantern", "·", "·", "2", "0%"],
        ]


async def test_a_second_look_shows_the_run_that_was_and_answers_come_from_the_cache(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await matrix(pilot)
        first = screen.browser.run
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is bench_of(pilot.app))
        await pilot.press("f6")
        await until(pilot, lambda: isinstance(pilot.app.screen, MatrixScreen))
        screen = pilot.app.screen
        await until(pilot, lambda: screen.browser.run == first)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: screen.browser.run not in ("", first))
        await until(pilot, lambda: not screen.runs.current.running)
        assert screen.runs.current.progress.cached == 12


async def test_a_run_can_be_stopped_and_gone_on_with(app, folder):
    script = json.loads((folder / "desk.script.json").read_text())
    script["rules"].insert(0, {"contains": "morning", "hold": "running"})
    (folder / "desk.script.json").write_text(json.dumps(script))
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("f6")
        await until(pilot, lambda: isinstance(pilot.app.screen, MatrixScreen))
        screen = pilot.app.screen
        runs = screen.runs
        await until(pilot, lambda: runs.current is not None and runs.current.version == 8)
        await pilot.press("x")
        await until(pilot, lambda: not runs.current.running and screen.browser.view is not None)
        run = runs.current.run
        assert screen.browser.view.run.state == "stopped"
        assert screen.browser.view.run.done == 8
        await pilot.press("ctrl+r")
        await until(pilot, lambda: runs.current.running)
        assert runs.current.plan.done == 8
        await until(pilot, lambda: runs.current.run == run)
        await pilot.press("x")
        await until(pilot, lambda: not runs.current.running)
        assert screen.browser.view.run.done == 8


async def test_a_bench_without_a_dataset_says_how_to_get_one(make_app, folder):
    (folder / "bare.bench.yaml").write_text(
        "variants:\n  - name: plain\n    prompt: queues/plain\n    model: desk.script.json\n"
    )
    app = make_app(bench="bare.bench.yaml")
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: pilot.app.bench_screen is not None and bool(pilot.app.bench_screen.panes))
        await pilot.press("f6")
        await until(pilot, lambda: any("no dataset" in notice.title for notice in pilot.app._notifications))


async def test_votes_are_cast_without_names_and_come_to_ratings(app, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with app.run_test(size=WIDE) as pilot:
        screen = await matrix(pilot)
        await pilot.press("v")
        await until(pilot, lambda: isinstance(pilot.app.screen, VoteScreen))
        votes = pilot.app.screen
        await until(pilot, lambda: votes.ballot is not None)
        shown = " ".join(str(widget.visual) for widget in votes.query(Static))
        assert not any(name in shown for name in screen.browser.names)
        ballot = votes.ballot
        await pilot.press("1")
        await until(pilot, lambda: votes.ballot is not ballot and votes._count == 1)
        await pilot.press("u")
        await until(pilot, lambda: votes._count == 0 and votes.ballot is not None)
        assert votes.ballot.case == ballot.case
        await pilot.press("2")
        await until(pilot, lambda: votes._count == 1)
        await pilot.press("r")
        await until(pilot, lambda: ballot.right_variant in str(votes.query_one("#vote-ratings", Static).visual))
        await pilot.press("p")
        await until(pilot, lambda: any("1 pair" in notice.title for notice in pilot.app._notifications))
        (written,) = tmp_path.glob("preferences-*.jsonl")
        assert '"chosen"' in written.read_text()


async def test_a_cell_is_asked_again_and_compared_with_what_it_said(app):
    async with app.run_test(size=WIDE) as pilot:
        await matrix(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, CellView))
        await pilot.press("r")
        await until(pilot, lambda: any("answer is the same" in notice.message for notice in pilot.app._notifications))


async def test_runs_are_compared_and_noted(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await matrix(pilot)
        first = screen.browser.run
        await pilot.press("ctrl+r")
        await until(pilot, lambda: screen.browser.run not in ("", first) and not screen.runs.current.running)
        await until(pilot, lambda: screen.browser.view is not None and screen.browser.view.id == screen.browser.run)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(pilot.app.screen, NameInput))
        await pilot.press(*"again", "enter")
        await until(pilot, lambda: screen.browser.view.run.note == "again")
        await pilot.press("d")
        await until(pilot, lambda: isinstance(pilot.app.screen, Picker))
        await pilot.press(*first, "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, TextViewer))
        assert "0 fixed, 0 broken, 3 unchanged" in pilot.app.screen.query_one(TextArea).text


async def test_the_figures_are_told_in_words(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await matrix(pilot)
        await until(pilot, lambda: screen.browser.summary is not None and screen.browser.summary.variants[3].n == 3)
        await pilot.press("i")
        await until(pilot, lambda: isinstance(pilot.app.screen, TextViewer))
        assert "bare" in pilot.app.screen.query_one(TextArea).text


async def test_a_report_is_written_to_the_folder_of_the_program(app, folder, tmp_path, monkeypatch):
    folder = tmp_path / "standing"
    folder.mkdir()
    monkeypatch.chdir(folder)
    async with app.run_test(size=WIDE) as pilot:
        screen = await matrix(pilot)
        await until(pilot, lambda: screen.browser.summary is not None and screen.browser.summary.variants[3].n == 3)
        for form in ("HTML", "Markdown", "JSON", "CSV", "Parquet"):
            await pilot.press("w")
            await until(pilot, lambda: isinstance(pilot.app.screen, Picker))
            await pilot.press(*form, "enter")
            await until(pilot, lambda: pilot.app.screen is screen)
        endings = {"html", "md", "json", "csv", "parquet"}
        await until(pilot, lambda: {path.suffix[1:] for path in folder.glob(f"demo-{screen.browser.run}.*")} == endings)
        assert "The parcel never came." in (folder / f"demo-{screen.browser.run}.html").read_text()


async def test_answers_that_were_cut_off_are_run_again_with_a_higher_limit(app):
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        session = pilot.app.screen.session
        sampling = session.variants[0].sampling
        session.change_variant(0, sampling=msgspec.structs.replace(sampling, max_tokens=2))
        screen = await matrix(pilot)
        await until(pilot, lambda: screen.browser.summary is not None and screen.browser.summary.variants[0].cut == 2)
        first = screen.browser.run
        await pilot.press("a")
        await until(pilot, lambda: isinstance(pilot.app.screen, NameInput))
        assert pilot.app.screen.query_one(Input).value == "8"
        await pilot.press("enter")
        await until(pilot, lambda: screen.browser.run not in ("", first) and not screen.runs.current.running)
        await until(
            pilot, lambda: screen.browser.summary is not None and screen.browser.summary.run == screen.browser.run
        )
        await until(pilot, lambda: screen.browser.summary.variants[0].n == 3)
        plain = screen.browser.summary.variants[0]
        assert (plain.cut, plain.cached) == (0, 1)
        assert session.variants[0].sampling.max_tokens == 8


async def test_no_key_of_the_screen_is_taken_by_its_table(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await matrix(pilot)
        of_screen = {key for key, _ in screen._bindings}
        assert {"a", "d", "x"} <= of_screen
        assert not of_screen & {key for key, _ in screen.table._bindings}
