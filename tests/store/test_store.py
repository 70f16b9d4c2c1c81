from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading

import pytest

from workbench.errors import StoreError
from workbench.inference.types import Completion
from workbench.store.cell_records import CellRecord, InputRecord, ScoreRecord, StoredCompletion
from workbench.store.cells import add_cells, add_inputs, find_completions, find_reply, get_cell
from workbench.store.runs import MetricRecord, Run, create_run, get_run, list_runs
from workbench.store.schema import MIGRATIONS
from workbench.store.store import Store


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "data" / "workbench.sqlite")
    yield store
    store.close()


def begin(store: Store, **values) -> Run:
    run = Run("", "demo", "variants: []", started=1_800_000_000, total=100, **values)
    return create_run(store, run, ["A", "B"], [MetricRecord("exact_match", threshold=1.0)])


def cell(number: int, text: str = "Lantern", **values) -> CellRecord:
    return CellRecord(number, 0, 0, StoredCompletion(Completion(text, output_tokens=1, stop_reason="eos")), **values)


def test_what_was_written_is_there_when_the_file_is_opened_again(tmp_path):
    first = Store(tmp_path / "w.sqlite")
    run = begin(first)
    add_inputs(first, run.key, [InputRecord(1, "{}", "Lantern")])
    add_cells(first, run.key, [cell(1, scores=(ScoreRecord(0, 1.0, True, "Lantern", "The same."),))])
    first.close()
    second = Store(tmp_path / "w.sqlite")
    found = get_cell(second, run.key, 1, 0, 0)
    assert found.stored.completion.text == "Lantern"
    assert found.scores == (ScoreRecord(0, 1.0, True, "Lantern", "The same."),)
    assert get_run(second, run.key).done == 1
    second.close()


def test_a_store_from_a_newer_workbench_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "w.sqlite"
    Store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer workbench"):
        Store(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database at all, but long enough" * 40, b"SQLite"], ids=["long", "short"])
def test_a_file_that_is_no_database_is_kept_aside_and_a_new_store_begins(tmp_path, content):
    path = tmp_path / "w.sqlite"
    path.write_bytes(content)
    store = Store(path)
    (aside,) = tmp_path.glob("w.damaged-*.sqlite")
    assert aside.read_bytes() == content
    assert aside.name in store.notice
    assert "Nothing in it could be read" in store.notice
    assert begin(store).bench == "demo"
    store.close()


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="Cannot make the store"):
        Store(tmp_path / "file" / "w.sqlite")


def test_a_full_disk_is_told_and_nothing_that_was_stored_is_lost(store):
    run = begin(store)
    add_cells(store, run.key, [cell(number) for number in range(1, 11)])
    pages = store.read("PRAGMA page_count")[0][0]
    store.read(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="disk is full"):
        add_cells(store, run.key, [cell(number, "long " * 4000) for number in range(11, 30)])
    assert get_run(store, run.key).done == 10
    store.read("PRAGMA max_page_count = 1000000")
    add_cells(store, run.key, [cell(11)])
    assert get_run(store, run.key).done == 11


def test_a_transaction_that_fails_leaves_nothing_behind(store):
    run = begin(store)
    with pytest.raises(ZeroDivisionError), store.write() as connection:
        connection.execute("UPDATE runs SET note = 'half'")
        _ = 1 / 0
    assert get_run(store, run.key).note == ""


def test_closing_waits_for_a_transaction_of_another_thread(tmp_path):
    """A connection that is closed while its thread works with it ends the process."""
    store, begun, go_on = Store(tmp_path / "s.sqlite"), threading.Event(), threading.Event()
    failures = []

    def work():
        try:
            with store.write() as connection:
                connection.execute("CREATE TABLE kept (value)")
                begun.set()
                assert go_on.wait(30)
                connection.execute("INSERT INTO kept VALUES (7)")
        except StoreError as error:
            failures.append(error)

    worker, closing = threading.Thread(target=work), threading.Thread(target=store.close)
    worker.start()
    assert begun.wait(30)
    closing.start()
    while store._connections:  # from here on it is being closed
        threading.Event().wait(0.001)
    go_on.set()
    worker.join(30)
    closing.join(30)
    assert not failures
    again = Store(tmp_path / "s.sqlite")
    assert again.read("SELECT value FROM kept") == [(7,)]
    again.close()


def test_closing_stops_what_another_thread_reads(tmp_path):
    store, begun = Store(tmp_path / "s.sqlite"), threading.Event()
    told = []
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"

    def work():
        try:
            begun.set()
            store.read(endless)
        except StoreError as error:
            told.append(error)

    worker = threading.Thread(target=work)
    store.read("SELECT 1")
    worker.start()
    assert begun.wait(30)
    while len(store._connections) < 2:  # the thread has a connection of its own
        threading.Event().wait(0.001)
    store.close()
    worker.join(30)
    assert not worker.is_alive()
    assert len(told) == 1


def test_waiting_for_another_writer_ends_with_a_word_about_it(tmp_path):
    first, second = Store(tmp_path / "w.sqlite"), Store(tmp_path / "w.sqlite", busy_seconds=0.05)
    run = begin(first)
    with first.write(), pytest.raises(StoreError, match="busy for more than"):
        add_cells(second, run.key, [cell(1)])
    add_cells(second, run.key, [cell(1)])
    assert get_run(first, run.key).done == 1
    first.close()
    second.close()


WRITER = """
import sys
from pathlib import Path
from workbench.store.store import Store
from workbench.store.runs import Run, create_run
from workbench.inference.types import Completion
from workbench.store.cells import CellRecord, StoredCompletion, add_cells
store = Store(Path(sys.argv[1]))
run = create_run(store, Run("", sys.argv[2], "", started=1_800_000_000, total=200), ["A"], [])
for number in range(1, 201):
    add_cells(store, run.key, [CellRecord(number, 0, 0, StoredCompletion(Completion(f"{sys.argv[2]} {number}")))])
store.close()
"""


def test_two_processes_write_into_one_new_store_at_once(tmp_path):
    path = tmp_path / "w.sqlite"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in ("one", "two")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    store = Store(path)
    runs = list_runs(store)
    assert {run.bench: run.done for run in runs} == {"one": 200, "two": 200}
    assert len({run.id for run in runs}) == 2
    for run in runs:
        assert get_cell(store, run.key, 200, 0, 0).stored.completion.text == f"{run.bench} 200"
    store.close()


def test_a_reader_sees_whole_groups_only_while_another_thread_writes(store):
    run = begin(store)
    writing = threading.Thread(
        target=lambda: [add_cells(store, run.key, [cell(n * 10 + k) for k in range(10)]) for n in range(30)]
    )
    writing.start()
    seen = set()
    done = 0
    while done < 300 and (writing.is_alive() or not seen):  # something is read however fast the writer is
        ((done, counted),) = store.read("SELECT done, (SELECT count(*) FROM cells) FROM runs")
        assert done == counted
        seen.add(done % 10)
    writing.join()
    assert seen == {0}
    assert get_run(store, run.key).done == 300


def test_answers_of_hugging_face_models_that_an_adapter_may_have_changed_are_no_longer_taken_as_known(tmp_path):
    path = tmp_path / "w.sqlite"
    connection = sqlite3.connect(path)
    for step in MIGRATIONS[:3]:
        connection.executescript(step)
    connection.execute("PRAGMA user_version = 3")
    bodies = [f'{{"model": {{"model": {{"format": "{kind}"}}}}}}' for kind in ("gguf", "hf", "scripted")]
    for place, body in enumerate([*bodies, "no JSON"]):
        connection.execute("INSERT INTO origins VALUES (?, ?, ?)", (place, bytes([place]), body))
        connection.execute("INSERT INTO variants VALUES (1, ?, ?, ?)", (place, f"v{place}", place))
    for place in range(5):  # the last one belongs to no cell any more
        connection.execute(
            "INSERT INTO completions VALUES (?, ?, 1, 'text', '', 1, 0, 1, 0, 0, 0, 0, 'eos', 0)",
            (place, bytes([place])),
        )
        if place < 4:
            connection.execute("INSERT INTO cells VALUES (1, 1, ?, 0, ?, 0, 0, 0, 0, '', '')", (place, place))
    connection.execute("INSERT INTO replies VALUES (?, 'said')", (b"q",))
    connection.commit()
    connection.close()
    store = Store(path)
    known = find_completions(store, [bytes([place]) for place in range(5)])
    assert sorted(known) == [bytes([0]), bytes([2])]
    assert find_reply(store, b"q") is None
    assert get_cell(store, 1, 1, 1, 0).stored.completion.text == "text"
    store.close()
