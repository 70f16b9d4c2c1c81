"""Last-position logits: copies within a budget, each for its owner alone."""

from __future__ import annotations

import numpy as np

from workbench.inference.logprobs import Logits
from workbench.inference.scheduling.logits_cache import LogitsCache


def make_row() -> Logits:
    return np.array([1.0, 2.0, 3.0], np.float32)


def test_logits_behind_prompts_are_copies_within_a_budget() -> None:
    cache, row = LogitsCache(24), make_row()
    cache.put("a", [1], row)
    row[0] = 9.0
    kept = cache.find("a", [1])
    assert kept is not None and kept[0] == 1.0
    cache.put("a", [2], row)
    cache.find("a", [1])
    cache.put("a", [3], row)
    assert cache.find("a", [2]) is None
    assert cache.find("a", [1]) is not None
    assert cache.bytes == 24


def test_what_is_kept_again_was_used_last_and_is_counted_once() -> None:
    cache, row = LogitsCache(24), make_row()
    for tokens in ([1], [2], [1], [3]):
        cache.put("a", tokens, row)
    assert [cache.find("a", [number]) is not None for number in (1, 2, 3)] == [True, False, True]
    assert cache.bytes == 24


def test_logits_are_their_owners_alone() -> None:
    cache = LogitsCache()
    cache.put("a", [1, 2], make_row())
    assert cache.find("a", [1, 2]) is not None
    assert cache.find("b", [1, 2]) is None
    cache.clear()
    assert cache.find("a", [1, 2]) is None
    assert cache.bytes == 0


def test_what_is_larger_than_the_budget_leaves_the_others_alone() -> None:
    cache = LogitsCache(24)
    cache.put("a", [1], make_row())
    cache.put("a", [2], np.zeros(7, np.float32))
    assert cache.find("a", [1]) is not None
    assert cache.find("a", [2]) is None
