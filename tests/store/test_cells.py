from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.inference.types import Completion
from workbench.store.cell_records import CellRecord, InputRecord, ScoreRecord, StoredCompletion
from workbench.store.cells import (
    add_cells,
    add_inputs,
    find_completions,
    get_cell,
    get_input,
    read_cells,
    read_finished,
    read_inputs,
    read_lengths,
    read_numbers,
)
from workbench.store.fingerprints import fingerprint
from workbench.store.runs import MetricRecord, Run, create_run, get_run
from workbench.store.store import Store

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store") / "w.sqlite")
    yield store
    store.close()


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "w.sqlite")
    yield store
    store.close()


def begin(store: Store) -> int:
    run = Run("", "demo", "", started=1_790_000_000, total=10)
    return create_run(store, run, ["A", "B"], [MetricRecord("m"), MetricRecord("n")]).key


@given(text=TEXT, thinking=TEXT, error=TEXT, scores=st.lists(st.tuples(st.floats(allow_nan=False), TEXT), max_size=2))
def test_a_cell_comes_back_as_it_was_written(shared, text, thinking, error, scores):
    run = begin(shared)
    judged = tuple(ScoreRecord(place, value, True, said, said, said) for place, (value, said) in enumerate(scores))
    done = Completion(text, thinking, 3, 2, 9, 4, 0.5, 0.6, 9.0, 0.75, "eos", True, ("one note", "another"))
    stored = StoredCompletion(done, 0.25, b"\0digest" + text.encode())
    cell = CellRecord(4, 1, 2, stored, bool(error), False, 1.5, error, error, judged)
    add_cells(shared, run, [cell])
    (found,) = read_cells(shared, run)
    assert found == get_cell(shared, run, 4, 1, 2)
    assert found.stored.key > 0
    assert found == CellRecord(
        4,
        1,
        2,
        msgspec.structs.replace(stored, key=found.stored.key),
        bool(error),
        False,
        1.5,
        error,
        error,
        judged,
    )


def test_counts_follow_the_cells_also_when_one_is_replaced(store):
    run = begin(store)
    failed = CellRecord(1, 0, 0, StoredCompletion(), failed=True, error="It fell.")
    assert add_cells(store, run, [failed, CellRecord(2, 0, 0, StoredCompletion(Completion("x")), cached=True)]) == (
        2,
        1,
        1,
    )
    again = CellRecord(1, 0, 0, StoredCompletion(Completion("y")), scores=(ScoreRecord(0, 1.0),))
    assert add_cells(store, run, [again]) == (0, -1, 0)
    assert add_cells(store, run, [again]) == (0, 0, 0)
    now = get_run(store, run)
    assert (now.done, now.failed, now.cached) == (2, 0, 1)
    assert len(get_cell(store, run, 1, 0, 0).scores) == 1


def test_a_known_answer_is_found_by_its_digest_and_kept_once(store):
    run = begin(store)
    answer = StoredCompletion(Completion("Lantern", stop_reason="eos"), digest=b"one", reusable=True)
    add_cells(store, run, [CellRecord(1, 0, 0, answer)])
    known = find_completions(store, [b"one"]).get(b"one")
    assert known.completion.text == "Lantern"
    add_cells(store, run, [CellRecord(1, 1, 0, known, cached=True)])
    assert store.read("SELECT count(*) FROM completions")[0][0] == 1
    assert get_cell(store, run, 1, 1, 0).stored.completion.text == "Lantern"
    assert find_completions(store, [b"two"]).get(b"two") is None
    others = [b"%d" % n for n in range(1200)]
    assert read_lengths(store, [*others, b"one", b"two"]) == {b"one": known.completion.output_tokens}


def test_another_answer_to_a_known_question_stays_with_its_own_cell(store):
    run = begin(store)
    add_cells(store, run, [CellRecord(1, 0, 0, StoredCompletion(Completion("first"), digest=b"one", reusable=True))])
    add_cells(store, run, [CellRecord(2, 0, 0, StoredCompletion(Completion("second"), digest=b"one", reusable=True))])
    assert find_completions(store, [b"one"]).get(b"one").completion.text == "first"
    assert get_cell(store, run, 2, 0, 0).stored.completion.text == "second"


def test_equal_cases_are_kept_once_and_read_in_order(store):
    first, second = begin(store), begin(store)
    cases = [InputRecord(number, f"body {number % 2}", "x" if number % 2 else None, number) for number in (5, 1, 9)]
    add_inputs(store, first, cases)
    add_inputs(store, first, cases)
    add_inputs(store, second, cases)
    assert store.read("SELECT count(*) FROM inputs")[0][0] == 1
    assert [case.number for case in read_inputs(store, first)] == [1, 5, 9]
    assert get_run(store, first).cases == 3
    assert get_input(store, second, 5) == cases[0]
    assert get_input(store, second, 6) is None
    assert list(read_numbers(store, first)) == [1, 5, 9]


def test_places_tell_what_is_done_with_failures_or_without(store):
    run = begin(store)
    cells = [CellRecord(n, 0, r, StoredCompletion(), failed=n == 2) for n in (1, 2) for r in (0, 1)]
    add_cells(store, run, [*cells, CellRecord(1, 1, 0, StoredCompletion())])
    assert sorted(read_finished(store, run, 0)) == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert sorted(read_finished(store, run, 0, failed=False)) == [(1, 0), (1, 1)]


def test_a_fingerprint_follows_the_content_and_is_remembered(store, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        (folder / "part").mkdir(parents=True)
        (folder / "part" / "weights").write_bytes(b"same")
    assert fingerprint(store, one) == fingerprint(store, two)
    assert fingerprint(store, one / "part" / "weights") != fingerprint(store, one)
    assert store.read("SELECT count(*) FROM fingerprints")[0][0] == 2
    (two / "part" / "weights").write_bytes(b"other")
    assert fingerprint(store, one) != fingerprint(store, two)
    (one / ".cache").mkdir()
    (one / ".cache" / "lock").write_text("x")
    assert fingerprint(store, one) == fingerprint(store, one)
