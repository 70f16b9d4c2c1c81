from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from evaluating import Desk, bench, carry_out

from workbench.datasets import Case
from workbench.errors import StoreError
from workbench.runs.bench import Variant
from workbench.runs.cell import CellFinished
from workbench.runs.matrix_rows import Filter, Sort
from workbench.runs.run import RunOptions
from workbench.runs.view import RunView

CASES = [
    Case(2, {"message": "alpha ÄPFEL", "note": "x" * 900}, "red"),
    Case(3, {"message": "beta"}, "blue"),
    Case(5, {"message": "gamma", "note": 'say "IT"'}, "red", also=("crimson",)),
    Case(8, {"message": "fall"}, None),
]
RULES = [
    {"contains": "fall", "regex": "Please", "reply": "x", "fail_after": 0, "failure": "It fell."},
    {"contains": "alpha", "reply": "red"},
    {"contains": "beta", "regex": "Please", "reply": "blue"},
    {"reply": "Grün \n\n and  more"},
]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk(tmp_path_factory.mktemp("view"))
    desk.model("desk", rules=RULES)
    desk.cells = carry_out(desk.evaluation(bench(), CASES))
    yield desk
    desk.close()


@pytest.fixture
def view(desk):
    return RunView(desk.store, "last")


def numbers(view, filter=Filter(), sort=Sort()):
    assert view.count(filter) == len(view.rows(filter, sort))
    return [row.number for row in view.rows(filter, sort)]


def test_rows_stand_in_the_order_of_the_cases_with_their_own_numbers(view):
    assert numbers(view) == [2, 3, 5, 8]
    assert numbers(view, sort=Sort(descending=True)) == [8, 5, 3, 2]
    assert [row.expected for row in view.rows()] == ["red", "blue", "red", None]
    assert [row.number for row in view.rows(offset=1, limit=2)] == [3, 5]
    assert view.rows(offset=9) == []


def test_a_row_shows_the_beginning_of_everything_on_one_line(view):
    first, second, _, last = view.rows()
    assert first.variables["message"] == "alpha ÄPFEL"
    assert len(first.variables["note"]) <= 200
    assert [cell.variant for cell in first.cells] == ["A", "B"]
    assert second.cells[0].text == "Grün and more"
    assert second.cells[0].scores == {"exact_match": 0.0, "contains": 0.0}
    assert (last.cells[1].state, last.cells[1].error) == ("failed", "It fell.")
    assert last.cells[0].scores == {}


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (Filter("failures"), [3, 5, 8]),
        (Filter("errors"), [8]),
        (Filter("different"), [3]),
        (Filter(expected="red"), [2, 5]),
        (Filter(expected="green"), []),
        (Filter(text="äpfel"), [2]),
        (Filter(text="GRÜN"), [3, 5, 8]),
        (Filter(text="blue"), [3]),
        (Filter(text='"message"'), []),
        (Filter(text="message"), []),
        (Filter(text='say "it"'), [5]),
        (Filter("failures", metric="contains", expected="red"), [5]),
        (Filter("failures", metric="unknown"), [8]),
    ],
)
def test_rows_are_filtered(view, filter, expected):
    assert numbers(view, filter) == expected


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (Sort("score", "A"), [3, 5, 2, 8]),
        (Sort("score", "B", "contains", True), [2, 3, 5, 8]),
        (Sort("disagreement", descending=True), [3, 2, 5, 8]),
    ],
)
def test_rows_are_sorted_and_those_without_a_score_come_last(view, sort, expected):
    assert numbers(view, sort=sort) == expected
    assert [view.index(number, sort=sort) for number in expected] == [0, 1, 2, 3]
    assert view.index(7, sort=sort) is None


def test_cells_come_back_whole(desk, view):
    assert list(view.cells()) == sorted(desk.cells, key=lambda cell: (cell.case, cell.variant))
    cell = view.cell("B", 3)
    assert cell.completion.text == "blue"
    assert '"prompt":"other"' in cell.provenance
    assert view.provenance("B") == cell.provenance
    assert view.cell("A", 4) is None
    with pytest.raises(StoreError, match="no variant 'C'"):
        view.cell("C", 2)


def test_cases_come_back_as_they_were(view):
    assert view.case(5) == CASES[2]
    assert list(view.cases()) == CASES
    with pytest.raises(StoreError, match="no case 4"):
        view.case(4)


def test_numbers_come_without_texts(desk, view):
    values = {(one.variant, one.case): one.value for one in view.judgements("exact_match")}
    assert values == {("A", 2): 1.0, ("B", 2): 1.0, ("A", 3): 0.0, ("B", 3): 1.0, ("A", 5): 0.0, ("B", 5): 0.0}
    readings = list(view.readings())
    assert [(one.case, one.variant) for one in readings] == [(n, v) for n in (2, 3, 5, 8) for v in "AB"]
    whole = {(cell.case, cell.variant): cell for cell in desk.cells}
    for one in readings:
        completion = whole[one.case, one.variant].completion
        assert one.prompt_tokens == completion.prompt_tokens
        assert one.output_tokens == completion.output_tokens
        assert one.elapsed_seconds == completion.elapsed_seconds
        assert one.failed == bool(whole[one.case, one.variant].error)


def test_metrics_and_classes_are_told(view):
    assert [(metric.name, metric.main) for metric in view.metrics] == [("exact_match", True), ("contains", False)]
    assert view.answers == ("red", "blue")
    assert view.bench == bench()


def test_a_view_follows_its_run_from_another_thread(tmp_path):
    desk = Desk(tmp_path)
    seen, problems = [], []

    def look(view):
        try:
            seen.append((view.count(Filter(text="label")), view.rows(Filter("failures")), view.run.done))
        except StoreError as error:
            problems.append(error)

    view = None
    for event in desk.evaluation(bench(), options=RunOptions(concurrency=1)).events():
        if isinstance(event, CellFinished):
            view = view or RunView(desk.store, "last")
            thread = threading.Thread(target=look, args=(view,))
            thread.start()
            thread.join()
    assert problems == []
    assert [done for _, _, done in seen] == list(range(1, 11))
    assert view.count(Filter(text="label")) == 5
    desk.close()


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from evaluating import Desk, bench
from workbench.runs.cell import CellFinished
from workbench.datasets import Case
from workbench.runs.run import RunOptions
desk = Desk(Path(sys.argv[1]))
cases = [Case(number, {"message": f"message {number}"}, f"label{number}") for number in range(1, 301)]
told = 0
for event in desk.evaluation(bench(), cases, RunOptions(concurrency=8)).events():
    if isinstance(event, CellFinished):
        print(event.cell.variant, event.cell.case, flush=True)
        told += 1
        if told == int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("at", [1, 137, 305])
def test_a_run_that_was_killed_lost_nothing_that_was_told_and_goes_on(tmp_path, at):
    from pathlib import Path

    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(Path(__file__).parent), str(at)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    told = {tuple(line.split()) for line in done.stdout.splitlines()}
    assert len(told) == at
    desk = Desk(tmp_path)
    view = RunView(desk.store, "last")
    kept = {(cell.variant, str(cell.case)) for cell in view.cells()}
    assert told <= kept
    assert view.run.done == len(kept) <= at + 256
    rest = {(cell.variant, str(cell.case)) for cell in carry_out(desk.resume())}
    assert not rest & kept
    assert len(rest | kept) == 600
    assert (view.run.done, view.run.failed, view.run.state) == (600, 0, "finished")
    assert all(cell.completion.text == f"label{cell.case}" for cell in view.cells())
    desk.close()


def test_one_cell_is_asked_again_exactly_as_it_was(tmp_path):
    from workbench.runs.rerun import rerun_cell

    desk = Desk(tmp_path)
    carry_out(desk.evaluation(bench()))
    desk.prompts["plain"] = desk.prompts["wanting"]
    view = RunView(desk.store, "last")
    done = rerun_cell(view, "A", 4, 0, desk.pool())
    assert done.same
    assert done.now.text == "label4"
    assert done.engines == ("scripted", "scripted")
    with pytest.raises(StoreError, match="no finished cell"):
        rerun_cell(view, "A", 77, 0, desk.pool())
    desk.model("desk", rules=[{"reply": "changed"}])
    with pytest.raises(StoreError, match="has changed since"):
        rerun_cell(view, "A", 4, 0, desk.pool())
    desk.close()


def test_a_cell_of_a_variant_that_never_was_has_nothing_to_be_asked_again(tmp_path):
    from workbench.runs.rerun import rerun_cell

    desk = Desk(tmp_path)
    carry_out(desk.evaluation(bench(Variant("A", "none", "desk"))))
    with pytest.raises(StoreError, match="came from was not found"):
        rerun_cell(RunView(desk.store, "last"), "A", 1, 0, desk.pool())
    desk.close()
