"""Rankings of a corpus's chunks: the best of many scores, and several rankings fused into one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Hit(NamedTuple):
    """chunk: its index among the corpus's passages."""

    chunk: int
    score: float


def rank(scores: NDArray[np.floating[Any]], k: int, floor: float = 0.0) -> list[Hit]:
    """The k highest scores above the floor: a score of 0 says that nothing of the query occurs."""
    import numpy as np

    count = min(k, len(scores))
    best = np.argpartition(-scores, count - 1)[:count] if count < len(scores) else np.arange(len(scores))
    if count < len(scores):  # all that tie with the last one, so that the order decides and not the partition
        best = np.flatnonzero(scores >= scores[best].min()) if scores[best].min() > floor else best
    order = best[np.lexsort((best, -scores[best]))]
    return [Hit(int(index), float(scores[index])) for index in order[:count] if scores[index] > floor]


def fuse(rankings: Iterable[Sequence[Hit]], k: int, constant: int = 60) -> list[Hit]:
    """Reciprocal rank fusion: each ranking gives 1 / (60 + rank) (Cormack, Clarke & Büttcher 2009)."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for position, hit in enumerate(ranking, 1):
            scores[hit.chunk] = scores.get(hit.chunk, 0.0) + 1 / (constant + position)
    best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    return [Hit(index, score) for index, score in best[:k]]
