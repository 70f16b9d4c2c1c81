from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.store.cells import (
    Answer,
    CellRecord,
    InputRecord,
    ScoreRecord,
    add_cells,
    add_inputs,
    count_answers,
    find_answer,
    get_cell,
    get_input,
    read_cells,
    read_inputs,
    read_numbers,
    read_places,
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
    answer = Answer(text, thinking, 3, 2, 1, 0.5, 9.0, 0.75, 0.25, "eos", b"\0digest" + text.encode())
    cell = CellRecord(4, 1, 2, answer, bool(error), False, 1.5, error, error, judged)
    add_cells(shared, run, [cell])
    (found,) = read_cells(shared, run)
    assert found == get_cell(shared, run, 4, 1, 2)
    assert found.answer.key > 0
    assert found == CellRecord(
        4,
        1,
        2,
        Answer(**{**{n: getattr(answer, n) for n in answer.__struct_fields__}, "key": found.answer.key}),
        bool(error),
        False,
        1.5,
        error,
        error,
        judged,
    )


def test_counts_follow_the_cells_also_when_one_is_replaced(store):
    run = begin(store)
    failed = CellRecord(1, 0, 0, Answer(), failed=True, error="It fell.")
    assert add_cells(store, run, [failed, CellRecord(2, 0, 0, Answer("x"), cached=True)]) == (2, 1, 1)
    again = CellRecord(1, 0, 0, Answer("y"), scores=(ScoreRecord(0, 1.0),))
    assert add_cells(store, run, [again]) == (0, -1, 0)
    assert add_cells(store, run, [again]) == (0, 0, 0)
    now = get_run(store, run)
    assert (now.done, now.failed, now.cached) == (2, 0, 1)
    assert len(get_cell(store, run, 1, 0, 0).scores) == 1


def test_a_known_answer_is_found_by_its_digest_and_kept_once(store):
    run = begin(store)
    answer = Answer("Lantern", digest=b"one", kept=True, stop_reason="eos")
    add_cells(store, run, [CellRecord(1, 0, 0, answer)])
    known = find_answer(store, b"one")
    assert known.text == "Lantern"
    add_cells(store, run, [CellRecord(1, 1, 0, known, cached=True)])
    assert store.read("SELECT count(*) FROM completions")[0][0] == 1
    assert get_cell(store, run, 1, 1, 0).answer.text == "Lantern"
    assert find_answer(store, b"two") is None
    others = [(b"%d" % n, 100) for n in range(1200)]
    assert count_answers(store, [(b"one", 100), (b"two", 100), *others]) == 1
    assert count_answers(store, [(b"one", known.output_tokens - 1)]) == 0


def test_another_answer_to_a_known_question_stays_with_its_own_cell(store):
    run = begin(store)
    add_cells(store, run, [CellRecord(1, 0, 0, Answer("first", digest=b"one", kept=True))])
    add_cells(store, run, [CellRecord(2, 0, 0, Answer("second", digest=b"one", kept=True))])
    assert find_answer(store, b"one").text == "first"
    assert get_cell(store, run, 2, 0, 0).answer.text == "second"


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
    cells = [CellRecord(n, 0, r, Answer(), failed=n == 2) for n in (1, 2) for r in (0, 1)]
    add_cells(store, run, [*cells, CellRecord(1, 1, 0, Answer())])
    assert sorted(read_places(store, run, 0)) == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert sorted(read_places(store, run, 0, failed=False)) == [(1, 0), (1, 1)]


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
