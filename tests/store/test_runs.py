from __future__ import annotations

import re

import pytest

from workbench.errors import StoreError
from workbench.inference.types import Completion
from workbench.store.cell_records import CellRecord, InputRecord, StoredCompletion
from workbench.store.cells import add_cells, add_inputs, find_completions
from workbench.store.runs import (
    MetricRecord,
    Run,
    change_run,
    create_run,
    erase_removed,
    find_run,
    get_metrics,
    get_variants,
    list_runs,
    remove_run,
    restore_run,
)
from workbench.store.store import Store


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "w.sqlite")
    yield store
    store.close()


def begin(store: Store, name: str, started: float) -> Run:
    return create_run(store, Run("", name, "", started=started), ["A", "B"], [MetricRecord("exact_match", binary=True)])


def test_ids_are_short_and_sort_by_time_and_never_meet(store):
    runs = [begin(store, "demo", 1_790_000_000 + seconds) for seconds in (0, 0, 5, 4000)]
    ids = [run.id for run in runs]
    assert ids == sorted(set(ids))
    assert all(re.fullmatch(r"[0-9a-z]{6}", id) for id in ids)


def test_a_run_is_found_by_its_beginning_its_age_or_its_pin(store):
    old, middle, new = (begin(store, name, 1_790_000_000 + at * 10**7) for at, name in enumerate("abc"))
    change_run(store, middle.key, pinned=True)
    assert find_run(store, "last") == new
    assert find_run(store, "last~2") == old
    assert find_run(store, "baseline").id == middle.id
    assert find_run(store, old.id[:3]) == old
    assert find_run(store, old.id) == old


@pytest.mark.parametrize(
    ("wanted", "said"), [("zzz", "called 'zzz'"), ("last~7", "last~7"), ("baseline", "--pin"), ("", "called ''")]
)
def test_a_run_that_is_not_there_is_told_with_what_is(store, wanted, said):
    run = begin(store, "demo", 1_790_000_000)
    with pytest.raises(StoreError) as caught:
        find_run(store, wanted)
    assert said in str(caught.value)
    assert run.id in caught.value.message


def test_a_beginning_that_several_runs_share_asks_for_more(store):
    one, two = begin(store, "demo", 1_790_000_000), begin(store, "demo", 1_790_000_001)
    with pytest.raises(StoreError, match="begins several runs") as caught:
        find_run(store, one.id[:4])
    assert two.id in caught.value.message


def test_columns_and_metrics_keep_the_order_of_the_bench(store):
    run = begin(store, "demo", 1_790_000_000)
    assert get_variants(store, run.key) == ("A", "B")
    assert get_metrics(store, run.key) == (MetricRecord("exact_match", binary=True),)


def test_a_run_in_the_trash_is_not_listed_and_comes_back(store):
    run = begin(store, "demo", 1_790_000_000)
    remove_run(store, run.key)
    assert list_runs(store) == []
    assert [one.id for one in list_runs(store, removed=True)] == [run.id]
    restore_run(store, run.key)
    assert [one.id for one in list_runs(store)] == [run.id]


def test_erasing_takes_only_what_no_other_run_has_and_keeps_known_answers(store):
    gone, left = begin(store, "gone", 1_790_000_000), begin(store, "left", 1_790_000_100)
    for run in (gone, left):
        add_inputs(store, run.key, [InputRecord(1, "shared", "x"), InputRecord(2, f"own of {run.bench}")])
        known = StoredCompletion(Completion("known"), digest=run.bench.encode(), reusable=True)
        add_cells(
            store,
            run.key,
            [CellRecord(1, 0, 0, known), CellRecord(2, 0, 0, StoredCompletion(Completion(f"{run.bench} only")))],
        )
    remove_run(store, gone.key)
    assert erase_removed(store) == (gone.id,)
    assert [body for (body,) in store.read("SELECT body FROM inputs ORDER BY body")] == ["own of left", "shared"]
    assert store.read("SELECT count(*) FROM cells")[0][0] == 2
    assert find_completions(store, [b"gone"]).get(b"gone").completion.text == "known"
    assert store.read("SELECT count(*) FROM completions WHERE text = 'gone only'")[0][0] == 0
    assert store.read("SELECT count(*) FROM completions WHERE text = 'left only'")[0][0] == 1
