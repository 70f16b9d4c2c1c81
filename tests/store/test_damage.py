"""Damaged rows hide themselves alone, named and counted; damaged files are kept aside and recovered."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from stored_run import answer, make_cases, plain_variants, store_run

from workbench.analysis.baseline import read_series
from workbench.analysis.summary import summarize
from workbench.analysis.votes import Votes
from workbench.errors import StoreError
from workbench.prompting.prompt import Prompt
from workbench.runs.matrix_rows import Filter
from workbench.runs.provenance import Provenance
from workbench.runs.serialisation import read_config
from workbench.runs.view import RunView
from workbench.store.cells import find_completions, get_cell
from workbench.store.damage import describe_damaged_runs
from workbench.store.recovery import recover
from workbench.store.runs import find_run, list_runs
from workbench.store.schema import MIGRATIONS
from workbench.store.store import Store
from workbench.store.votes import VoteRecord, add_vote

CASES = make_cases(4)
VERSION_3 = Path(__file__).with_name("store_version_3.sql")
VERSION_6 = Path(__file__).with_name("store_version_6.sql")


@pytest.fixture
def path(tmp_path):
    """A store with one run: two variants, four cases, all right; a vote on the second case."""
    path = tmp_path / "workbench.sqlite"
    variants = plain_variants("A", "B")
    cells = [answer(one.name, case, case.expected) for one in variants for case in CASES]
    view = store_run(path, variants, CASES, cells, prompt=lambda one: Prompt(one.name, "user:\n{{ message }}\n"))
    add_vote(view.store, view.run.key, VoteRecord(0, 2, 0, 0, 1, "left", 1_795_000_100.0))
    view.store.close()
    return path


@pytest.fixture
def opened(path):
    """Opens the store, damaged as said; what a view of its run says of the damage."""
    stores = []

    def open_damaged(*statements: str) -> RunView:
        change(path, *statements)
        stores.append(Store(path))
        return RunView(stores[-1], "last")

    yield open_damaged
    for store in stores:
        store.close()


def change(path: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def answers(view: RunView) -> int:
    return sum(1 for _ in view.cells())


HIDDEN = [
    ("UPDATE cells SET failed = 'x' WHERE variant = 1 AND number = 3", "1 cell cannot be read", "case 3, B"),
    ("UPDATE cells SET cost = X'00' WHERE variant = 0 AND number = 1", "1 cell cannot be read", "case 1, A"),
    ("UPDATE cells SET variant = 7 WHERE variant = 1 AND number = 3", "1 cell cannot be read", "case 3, number 8"),
    ("UPDATE cells SET completion = 999 WHERE variant = 0 AND number = 2", "1 cell cannot be read", "case 2, A"),
    ("UPDATE completions SET text = X'41' WHERE key = 1", "1 cell cannot be read", "case 1, A"),
    ("UPDATE completions SET output_tokens = 'many' WHERE key = 5", "1 cell cannot be read", "case 1, B"),
    ("UPDATE completions SET stop_reason = 'bored' WHERE key = 5", "1 cell cannot be read", "case 1, B"),
    ("UPDATE completions SET elapsed_seconds = 1e999 WHERE key = 5", "1 cell cannot be read", "case 1, B"),
    ("DELETE FROM cells WHERE number = 4 AND variant = 1", "1 finished cell is missing", ""),
]


@pytest.mark.parametrize(("statement", "told", "name"), HIDDEN, ids=range(len(HIDDEN)))
def test_a_damaged_cell_hides_itself_alone_and_is_named(opened, statement, told, name):
    view = opened(statement)
    assert answers(view) == 7
    assert len(view.rows()) == 4
    (sentence,) = view.damage()
    assert told in sentence
    assert name in sentence
    summary = summarize(view)
    assert sentence in summary.notes
    assert sum(one.n for one in summary.variants) == 7


def test_a_damaged_score_hides_and_counts_as_none(opened):
    view = opened("UPDATE scores SET value = 'good' WHERE number = 2 AND variant = 1")
    assert answers(view) == 8
    assert view.cell("B", 2).scores == ()
    assert len(list(view.judgements("exact_match"))) == 7
    assert view.damage() == ("Damaged: 1 score cannot be read and is left out (case 2, B, exact_match).",)
    summary = summarize(view)
    assert summary.variant("B").scores["exact_match"].n == 3
    assert summary.variant("B").unscored == {"exact_match": 1}


def test_details_of_a_score_that_are_no_json_leave_its_value(opened):
    view = opened("UPDATE scores SET details = '[[[' WHERE number = 2 AND variant = 1")
    assert view.cell("B", 2).scores[0].value == 1.0
    assert view.damage() == ("Damaged: 1 score has lost its details (case 2, B, exact_match).",)


BODIES = ["'{'", "'[1]'", '\'{"number": 0, "variables": {"message": 3}}\'', "'null'", f"'{'[' * 100_000}'"]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_case_that_says_nothing_hides_and_its_answers_stay(opened, body):
    view = opened(f"UPDATE inputs SET body = {body} WHERE key = 3")
    assert [case.number for case in view.cases()] == [1, 2, 4]
    assert view.rows()[2].variables == {"damaged": "This case cannot be read."}
    assert [one.state for one in view.rows()[2].cells] == ["done", "done"]
    with pytest.raises(StoreError, match=r"Case 3 .* damaged"):
        view.case(3)
    assert view.damage() == ("Damaged: 1 case cannot be read and is left out (case 3).",)
    assert view.rows(Filter(text="message"))[0].number == 1
    assert summarize(view).variant("A").n == 4


def test_a_case_whose_input_is_gone_is_left_out_of_the_rows(opened):
    view = opened("DELETE FROM inputs WHERE key = 3")
    assert [row.number for row in view.rows()] == [1, 2, 4]
    assert view.count() == 3
    assert view.damage() == ("Damaged: 1 case cannot be read and is left out (case 3).",)


@pytest.mark.parametrize("text", ["X'EDA080'", "X'4CFF'", "X'C3'"], ids=["surrogate", "no utf-8", "cut"])
def test_broken_bytes_of_a_text_show_as_signs_and_are_named(opened, text):
    view = opened(f"UPDATE completions SET text = CAST({text} AS TEXT), digest = X'07', reusable = 1 WHERE key = 2")
    shown = view.cell("A", 2).completion.text
    assert "\ufffd" in shown
    shown.encode()
    assert view.damage() == ("Damaged: 1 answer holds damaged text (case 2, A).",)
    assert [row.number for row in view.rows(Filter(text="message 2"))] == [2]
    assert find_completions(view.store, [b"\x07"]).get(b"\x07") is None  # never taken for an answer that is known


def test_a_variant_that_lost_its_name_keeps_its_place(opened):
    view = opened("UPDATE variants SET name = X'00' WHERE position = 0")
    assert view.variants == ("variant 1 (unreadable)", "B")
    assert view.cell("B", 1).completion.text == "Lantern"
    assert "1 variant has lost its name" in view.damage()[0]


@pytest.mark.parametrize("statement", ["DELETE FROM variants WHERE position = 1", "UPDATE variants SET name = 'C'"])
def test_variants_that_are_not_those_of_the_bench_are_told_and_the_rest_is_summarized(opened, statement):
    view = opened(statement)
    summary = summarize(view)
    assert [one.name for one in summary.variants] == list(view.variants)
    assert any("are not those that the store has" in note for note in summary.notes)


def test_a_metric_that_cannot_be_read_keeps_its_place(opened):
    view = opened("UPDATE metrics SET is_binary = 'yes'")
    assert [metric.name for metric in view.metrics] == ["metric 1 (unreadable)"]
    assert "1 metric cannot be read" in view.damage()[0]
    summarize(view)


@pytest.mark.parametrize("body", ["'{}'", "X'00'", "'[' || hex(zeroblob(9))"])
def test_what_a_variant_came_from_may_be_lost_alone(opened, body):
    view = opened(f"UPDATE origins SET body = {body} WHERE key = 2")
    assert view.damage() == ("Damaged: What 1 variant came from cannot be read (B).",)
    assert summarize(view).variant("B").n == 4


def test_options_that_are_no_json_are_told(opened):
    view = opened("UPDATE runs SET options = '{\"file\": 3}'")
    assert view.warnings == ()
    assert view.damage() == ("Damaged: How the run was asked for cannot be read.",)


@pytest.mark.parametrize("values", ["choice = 'neither'", "left_variant = 9", "at = 1e18"])
def test_a_damaged_vote_is_left_out(opened, values):
    view = opened(f"UPDATE votes SET {values}")
    assert Votes(view.store, view).list() == ()
    assert view.damage() == ("Damaged: 1 vote cannot be read and is left out (case 2).",)


@pytest.mark.parametrize("values", ["started = 1e300", "state = 'odd'", "done = 'all'", "bench = X'00'", "total = -1"])
def test_a_damaged_run_is_left_out_of_the_list_and_named(path, values):
    variants = plain_variants("A")
    view = store_run(path, variants, CASES, [answer("A", case, "Abacus") for case in CASES], started=1_795_000_500.0)
    change(path, f"UPDATE runs SET {values} WHERE key = 1")
    damaged, sound = sorted(one for (one,) in view.store.read("SELECT id FROM runs"))
    assert [run.id for run in list_runs(view.store)] == [sound]
    assert describe_damaged_runs(view.store) == f"1 run is damaged in the store and left out: {damaged}."
    with pytest.raises(StoreError, match=f"record of run {damaged} is damaged"):
        find_run(view.store, damaged)
    assert find_run(view.store, "last").id == sound
    view.store.close()


def test_a_run_that_lacks_the_metric_of_its_bench_has_no_point_and_the_others_do(path):
    variants = plain_variants("A", "B")
    cells = [answer(one.name, case, "Abacus") for one in variants for case in CASES]
    view = store_run(path, variants, CASES, cells, started=1_795_000_500.0)
    change(path, "UPDATE metrics SET name = X'00' WHERE run = 2")
    drift = read_series(view.store, "demo", "exact_match")
    assert [sorted(point.values) for point in drift.points] == [["A", "B"], []]
    view.store.close()


# --- the file -----------------------------------------------------------------------------------------------------


def test_a_torn_file_is_kept_aside_and_what_can_be_read_of_it_goes_on(path):
    data = bytearray(path.read_bytes())
    with contextlib.closing(sqlite3.connect(path)) as connection:
        ((root,),) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'votes'")
        ((size,),) = connection.execute("PRAGMA page_size")
    data[(root - 1) * size : root * size] = b"\xee" * size
    path.write_bytes(data)
    store = Store(path)
    with pytest.raises(StoreError, match="was damaged") as caught:
        store.read("SELECT * FROM valid_votes")
    (aside,) = path.parent.glob("workbench.damaged-*.sqlite")
    assert aside.read_bytes() == bytes(data)
    assert aside.name in caught.value.message
    assert "Recovered from it: 1 run with 8 cells and 0 votes" in caught.value.message
    assert "Parts of these tables are lost: votes" in caught.value.message
    view = RunView(store, "last")
    assert answers(view) == 8
    add_vote(store, view.run.key, VoteRecord(0, 2, 0, 0, 1, "left", 1_795_000_100.0))
    assert len(Votes(store, view).list()) == 1
    store.close()
    assert Store(path).notice == ""


@pytest.mark.parametrize(
    ("statement", "kept"),
    [
        ("DROP TABLE votes", 8),
        ("DROP TABLE fingerprints", 8),
        ("ALTER TABLE runs DROP COLUMN note", 8),
        ("ALTER TABLE cells DROP COLUMN cost", 8),
        ("ALTER TABLE completions DROP COLUMN notes", 8),
        ("PRAGMA user_version = 0", 8),
        ("PRAGMA user_version = -3", 8),
        ("PRAGMA user_version = 2", 8),
    ],
)
def test_a_store_that_lacks_tables_or_columns_of_its_version_is_recovered_when_it_is_opened(path, statement, kept):
    change(path, statement)
    store = Store(path)
    assert "was damaged" in store.notice
    assert len(list(path.parent.glob("workbench.damaged-*.sqlite"))) == 1
    assert store.read("PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert answers(RunView(store, "last")) == kept
    summarize(RunView(store, "last"))
    store.close()


@pytest.mark.parametrize("broken", [b"\xff", b"\xed\xa0\x80", b"\xc3"])
def test_damaged_bytes_in_a_message_of_sqlite_are_no_traceback(path, broken):
    """SQLite repeats a part of a schema that it cannot read, and the library cannot decode the message."""
    data = path.read_bytes().replace(b"CREATE TABLE cells (", b"CREATE TABLE cells " + broken[:1])
    path.write_bytes(data)
    store = Store(path)
    assert "was damaged" in store.notice
    view = RunView(store, "last")
    assert answers(view) == 8
    assert view.damage() == ()
    store.close()


@pytest.mark.parametrize(("start", "end"), [(0, 100), (-1, -1), (0, 4096)], ids=["header", "schema", "first page"])
def test_a_damaged_schema_takes_no_table_along(path, start, end):
    whole = path.read_bytes()
    if start < 0:  # a page of the schema of which the first holds but the places
        start = whole.rindex(b"CREATE TABLE cells") // 4096 * 4096
        end = start + 4096
    data = whole[:start] + b"\xcc" * (end - start) + whole[end:]
    path.write_bytes(data)
    store = Store(path)
    assert "Recovered from it: 1 run with 8 cells and 1 vote." in store.notice
    (aside,) = path.parent.glob("workbench.damaged-*.sqlite")
    assert aside.read_bytes() == data
    view = RunView(store, "last")
    assert view.damage() == ()
    assert [case.variables["message"] for case in view.cases()] == [f"message {at}" for at in range(1, 5)]
    assert view.cell("B", 4).completion.text == "Thicket"
    assert not list(path.parent.glob(".*.tmp"))
    store.close()


READER = """
import sys
from pathlib import Path
from workbench.errors import StoreError
from workbench.store.store import Store
from workbench.store.runs import list_runs
store = Store(Path(sys.argv[1]))
print(len(list_runs(store)), flush=True)
for line in sys.stdin:
    print(len(list_runs(store)), len(store.read("SELECT * FROM votes")), flush=True)
"""


def test_another_process_that_has_the_file_open_goes_on_with_what_was_recovered(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        ((root,),) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'votes'")
        ((size,),) = connection.execute("PRAGMA page_size")
    command = [sys.executable, "-c", READER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "1\n"
        with path.open("r+b") as stream:
            stream.seek((root - 1) * size)
            stream.write(b"\xee" * size)
        store = Store(path)
        with pytest.raises(StoreError, match="was damaged"):
            store.read("SELECT * FROM valid_votes")
        run = list_runs(store)[0]
        add_vote(store, run.key, VoteRecord(0, 2, 0, 0, 1, "left", 1_795_000_100.0))
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline() == "1 1\n"
    store.close()


def test_a_store_of_an_earlier_version_is_brought_up_to_date_with_all_that_is_in_it(tmp_path):
    path = tmp_path / "workbench.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_3.read_text())
        connection.execute("PRAGMA user_version = 3")
    store = Store(path)
    assert store.notice == ""
    assert store.read("PRAGMA user_version") == [(len(MIGRATIONS),)]
    view = RunView(store, "last")
    assert view.variants == ("plain", "few-shot")
    assert view.damage() == ()
    assert (view.run.done, view.run.failed, view.run.cached) == (8, 1, 2)
    assert [case.variables["message"] for case in view.cases()] == [f"message {at}" for at in range(1, 5)]
    assert view.cell("few-shot", 3).completion.text == "Harbour"
    assert view.cell("plain", 1).scores[0].unscored == "lost"
    assert view.cell("plain", 2).error == "The engine died."
    assert [vote.winner for vote in Votes(store, view).list()] == ["plain"]
    assert summarize(view).variant("few-shot").scores["exact_match"].n == 4
    assert get_cell(store, view.run.key, 4, 0, 0).cached
    store.close()


def test_the_columns_keys_and_options_of_version_6_have_their_names_of_today(tmp_path):
    path = tmp_path / "workbench.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_6.read_text())
    store = Store(path)
    assert store.notice == ""
    check_version_6(store)
    store.close()
    assert Store(path).read("PRAGMA user_version") == [(len(MIGRATIONS),)]


def test_a_damaged_store_of_version_6_is_recovered_under_the_names_of_today(tmp_path):
    path = tmp_path / "workbench.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_6.read_text())
    assert recover(path, sure=True) is not None
    store = Store(path)
    check_version_6(store)
    store.close()


def check_version_6(store: Store) -> None:
    view = RunView(store, "last")
    assert view.damage() == ()
    assert [variant.deterministic for variant in view.bench.variants] == [True, False, False]
    assert Provenance.decode(view.provenance("A")).variant.deterministic
    assert read_config(view.run).concurrency == 32
    cell = view.cell("A", 1)
    assert (cell.completion.text, cell.completion.deterministic, cell.completion.elapsed_seconds) == (
        "label1",
        True,
        0.02,
    )
    assert [(score.scorer, score.value, score.parts) for score in cell.scores] == [
        ("exact_match", 1.0, {}),
        ("judge", 0.75, {"judge": 0.75}),
    ]
    assert view.cell("C", 3, 1).error.startswith("Variables are missing")
    assert (view.run.done, view.run.failed) == (18, 6)
    assert [vote.choice for vote in Votes(store, view).list()] == ["left"]
    digest = bytes.fromhex(view.cell("B", 2).prompt_digest)
    assert find_completions(store, [digest]).get(digest).completion.text == "something"
