"""How decode steps are laid out, from times that are made up."""

from __future__ import annotations

import pytest

from tests.inference.scheduling.fake_backend import make_sequence
from workbench.inference.llamacpp.decode_strategy import MOST, TRIALS, DecodeStrategy, Layout
from workbench.inference.scheduling.backend import TokenRun
from workbench.inference.scheduling.batch import Part


def batch(rows: int, decoding: bool = True) -> list[Part]:
    parts = []
    for number in range(rows):
        sequence = make_sequence(number, [1], 5, 1)
        sequence.chunks.output_tokens = int(decoding)
        parts.append(Part(sequence, TokenRun(number, 1, [1])))
    return parts


def learn(strategy: DecodeStrategy, layout: Layout, rows: int, seconds: float, granted: int = 2) -> None:
    batches = [batch(rows), batch(rows)] if layout == "pair" else [batch(rows)]
    for _ in range(TRIALS):
        strategy.record(batches, {"all": granted, "single": 1, "pair": granted // 2}[layout], granted, seconds)


def test_one_thread_is_tried_and_kept_where_it_is_faster() -> None:
    strategy = DecodeStrategy()
    assert strategy.threads(batch(1), 2) == 2
    learn(strategy, "all", 1, 2.0)
    assert strategy.threads(batch(1), 2) == 1, "it is tried"
    learn(strategy, "single", 1, 1.0)
    assert strategy.threads(batch(1), 2) == 1
    learn(strategy, "single", 1, 1.99)
    assert strategy.threads(batch(1), 2) == 2, "a tie goes to all threads"


def test_what_lost_with_fewer_sequences_is_not_tried_with_more() -> None:
    strategy = DecodeStrategy()
    learn(strategy, "all", 2, 1.0)
    learn(strategy, "single", 2, 1.8)
    learn(strategy, "all", 4, 1.5)
    assert strategy.threads(batch(4), 2) == 2


@pytest.mark.parametrize("parts", [batch(MOST + 1), batch(1, decoding=False), []])
def test_there_is_no_choice_for_large_batches_and_for_prefill(parts: list[Part]) -> None:
    strategy = DecodeStrategy()
    learn(strategy, "all", 1, 2.0)
    assert strategy.threads(parts, 2) == 2
    assert not strategy.pairs(parts, batch(1), 2)


def test_contexts_go_side_by_side_only_where_that_is_faster_than_one_by_one() -> None:
    strategy = DecodeStrategy()
    assert not strategy.pairs(batch(2), batch(2), 2), "what each takes alone is not known"
    learn(strategy, "all", 2, 1.0)
    assert strategy.pairs(batch(2), batch(2), 2), "it is tried"
    learn(strategy, "pair", 2, 1.2)
    assert strategy.pairs(batch(2), batch(2), 2)
    learn(strategy, "pair", 2, 1.95)
    assert not strategy.pairs(batch(2), batch(2), 2)


def test_what_was_measured_with_other_threads_does_not_count() -> None:
    strategy = DecodeStrategy()
    learn(strategy, "all", 1, 2.0, granted=4)
    assert strategy.threads(batch(1), 2) == 2
    assert strategy.threads(batch(1), 1) == 1
