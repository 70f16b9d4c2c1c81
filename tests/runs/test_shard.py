from __future__ import annotations

import pytest
from evaluating import CASES, Desk, bench, carry_out
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import BenchError
from workbench.runs.bench import AdapterChoice, Variant
from workbench.runs.run import RunOptions
from workbench.runs.shard import Shard, divide, parse_shard
from workbench.runs.view import RunView

VARIANTS = (
    Variant("A", "plain", "one"),
    Variant("B", "plain", "two"),
    Variant("C", "plain", "one", adapters=(AdapterChoice("tuned"),)),
    Variant("D", "other", "one"),
)


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    desk.close()


@pytest.mark.parametrize(("text", "shard"), [("1/1", (1, 1)), (" 3 / 8", (3, 8)), ("8/8", (8, 8))])
def test_a_shard_is_read(text, shard):
    assert parse_shard(text) == Shard(*shard)


@pytest.mark.parametrize("text", ["", "3", "0/8", "9/8", "-1/8", "1/0", "a/b", "1/8/2", "1.5/8"])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(BenchError, match="expected N/M"):
        parse_shard(text)


@given(cases=st.integers(1, 40), count=st.integers(1, 60), variants=st.permutations(VARIANTS))
def test_each_cell_is_in_exactly_one_shard_and_the_shards_are_equal_but_for_one(cases, count, variants):
    if count > cases * len(variants):
        with pytest.raises(BenchError, match="cannot be divided"):
            divide(variants, cases, Shard(1, count))
        return
    shards = [divide(variants, cases, Shard(number, count)) for number in range(1, count + 1)]
    found = [(index, case) for spans in shards for index, span in enumerate(spans) for case in span]
    assert len(found) == len(set(found)) == cases * len(variants)
    sizes = [sum(map(len, spans)) for spans in shards]
    assert max(sizes) - min(sizes) <= 1


def test_a_prefix_is_torn_apart_and_a_model_loaded_as_rarely_as_can_be():
    shards = [divide(VARIANTS, 100, Shard(number, 3)) for number in (1, 2, 3)]
    held = [{VARIANTS[index].name: len(span) for index, span in enumerate(spans) if span} for spans in shards]
    # A and D have the bare first model, C an adapter on it, and B the second model
    assert held == [{"A": 100, "D": 33}, {"D": 67, "C": 66}, {"C": 34, "B": 100}]


def test_shards_carry_out_the_whole_run_between_them(desk):
    wanted = {(cell.variant, cell.case, cell.repeat) for cell in carry_out(desk.evaluation(bench(repeats=2)))}
    found = []
    for number in (1, 2, 3):
        evaluation = desk.evaluation(bench(repeats=2), options=RunOptions(shard=Shard(number, 3), cache=False))
        cells = carry_out(evaluation)
        assert len(cells) == evaluation.plan().cells == RunView(desk.store, evaluation.run).run.total
        assert RunView(desk.store, evaluation.run).state == "finished"
        found += [(cell.variant, cell.case, cell.repeat) for cell in cells]
    assert len(found) == len(wanted)
    assert set(found) == wanted


def test_a_shard_is_resumed_as_that_shard(desk):
    shard = Shard(2, 3)
    whole = {(cell.variant, cell.case) for cell in carry_out(desk.evaluation(bench(), options=RunOptions(shard=shard)))}
    evaluation = desk.evaluation(bench(), options=RunOptions(shard=shard, concurrency=1, cache=False))
    for event in evaluation.events():
        if type(event).__name__ == "CellFinished":
            evaluation.cancel()
    view = RunView(desk.store, evaluation.run)
    assert 0 < view.run.done < len(whole)
    carry_out(desk.resume(evaluation.run))
    assert {(cell.variant, cell.case) for cell in view.cells()} == whole
    assert view.run.done == view.run.total == len(whole)


def test_a_shard_needs_no_model_that_it_has_no_cells_of(desk):
    wanting = bench(Variant("A", "plain", "desk"), Variant("B", "plain", "lacking"))
    evaluation = desk.evaluation(wanting, options=RunOptions(shard=Shard(1, 2)))
    assert [model.variants for model in evaluation.plan().models] == [("A",)]
    assert not evaluation.plan().problems
    cells = carry_out(evaluation)
    assert [cell.error for cell in cells] == [""] * len(CASES)
