"""How good a ranking of passages is: recall@k, reciprocal rank and nDCG@k against what a case says is relevant.

A reference counts once, with the first passage that covers it: a second chunk of the same document finds nothing new.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from workbench.retrieval.passage import Passage, Reference


def find_gains(ranking: Sequence[Passage], relevant: Sequence[Reference]) -> list[int]:
    """For each rank, how many references its passage is the first to cover."""
    left = list(dict.fromkeys(relevant))
    gains = []
    for passage in ranking:
        covered = [reference for reference in left if reference.covers(passage)]
        gains.append(len(covered))
        left = [reference for reference in left if reference not in covered]
    return gains


def recall(gains: Sequence[int], relevant: int, k: int) -> float:
    """The share of the references that the first k passages cover."""
    return sum(gains[:k]) / relevant


def reciprocal_rank(gains: Sequence[int], k: int) -> float:
    """1 over the rank of the first passage that covers a reference; 0 where none of the first k does."""
    return next((1 / rank for rank, gain in enumerate(gains[:k], 1) if gain), 0.0)


def ndcg(gains: Sequence[int], relevant: int, k: int) -> float:
    """Discounted gain over that of the best order; gains are 0 and 1, discounts log2 (Järvelin & Kekäläinen 2002)."""
    found = sum(min(gain, 1) / math.log2(rank + 1) for rank, gain in enumerate(gains[:k], 1))
    best = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, relevant) + 1))
    return found / best
