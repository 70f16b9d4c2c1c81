"""Endings: copies within a budget, each for its owner alone."""

from __future__ import annotations

import numpy as np

from workbench.engines.endings import Endings
from workbench.engines.likelihood import Logits


def make_row() -> Logits:
    return np.array([1.0, 2.0, 3.0], np.float32)


def test_numbers_behind_prompts_are_copies_within_a_budget() -> None:
    endings, row = Endings[Logits](most_bytes=24), make_row()
    endings.keep("a", [1], row)
    row[0] = 9.0
    kept = endings.find("a", [1])
    assert kept is not None and kept[0] == 1.0
    endings.keep("a", [2], row)
    endings.find("a", [1])
    endings.keep("a", [3], row)
    assert endings.find("a", [2]) is None
    assert endings.find("a", [1]) is not None
    assert endings.bytes == 24


def test_what_is_kept_again_was_used_last_and_is_counted_once() -> None:
    endings, row = Endings[Logits](most_bytes=24), make_row()
    for tokens in ([1], [2], [1], [3]):
        endings.keep("a", tokens, row)
    assert [endings.find("a", [number]) is not None for number in (1, 2, 3)] == [True, False, True]
    assert endings.bytes == 24


def test_an_ending_is_its_owners_alone() -> None:
    endings = Endings[Logits]()
    endings.keep("a", [1, 2], make_row())
    assert endings.find("a", [1, 2]) is not None
    assert endings.find("b", [1, 2]) is None
    endings.clear()
    assert endings.find("a", [1, 2]) is None
    assert endings.bytes == 0


def test_what_is_larger_than_the_budget_leaves_the_others_alone() -> None:
    endings = Endings[Logits](most_bytes=24)
    endings.keep("a", [1], make_row())
    endings.keep("a", [2], np.zeros(7, np.float32))
    assert endings.find("a", [1]) is not None
    assert endings.find("a", [2]) is None
