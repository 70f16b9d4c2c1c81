"""Retrieval: a corpus of 100,000 chunks searched by words and by embeddings."""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable, Sequence

CHUNKS = int(os.environ.get("WORKBENCH_BENCH_CHUNKS", "100000"))
DIMENSIONS = 384
WORDS = 120
QUERIES = 60


def measure() -> list[tuple[str, str, str]]:
    """Rows for the table: what, figure, aim."""
    import numpy as np

    from workbench.retrieval.bm25 import KeywordIndex
    from workbench.retrieval.dense import DenseIndex, normalize_rows
    from workbench.retrieval.ranking import fuse

    rng = random.Random(5)
    words = [f"{rng.choice('bcdfgklmnprst')}{rng.choice('aeiou')}{number:x}" for number in range(60_000)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]  # as words of a language are distributed (Zipf)
    began = time.perf_counter()
    texts = [" ".join(rng.choices(words, weights=weights, k=WORDS)) for _ in range(200)]
    stock = " ".join(texts).split()
    texts = [" ".join(rng.choices(stock, k=WORDS - 4) + rng.choices(words, k=4)) for _ in range(CHUNKS)]
    queries = [" ".join(rng.sample(texts[rng.randrange(CHUNKS)].split(), 10)) for _ in range(QUERIES)]
    made = time.perf_counter() - began
    began = time.perf_counter()
    keyword = KeywordIndex.build(texts)
    built = time.perf_counter() - began
    vectors = normalize_rows(np.random.default_rng(5).standard_normal((CHUNKS, DIMENSIONS), dtype=np.float32))
    dense = DenseIndex(vectors)
    asked = normalize_rows(vectors[:QUERIES] + 0.1)
    indexes = range(QUERIES)

    def search_both(index: int) -> None:
        fuse((keyword.search(queries[index], 100), dense.search(asked[index : index + 1], 100)), 5)

    def search_dense(index: int) -> None:
        dense.search(asked[index : index + 1], 5)

    return [
        _row("by 10 words", indexes, lambda index: keyword.search(queries[index], 5)),
        _row(f"by {DIMENSIONS} dimensions", indexes, search_dense),
        _row("by both, fused", indexes, search_both),
        (f"index by words of {CHUNKS:,} chunks built", f"{built:.1f} s  (texts made in {made:.0f} s)", "at most 60 s"),
    ]


def _row(what: str, indexes: Sequence[int], search: Callable[[int], object]) -> tuple[str, str, str]:
    search(0)
    times = []
    for index in indexes:
        began = time.perf_counter()
        search(index)
        times.append(time.perf_counter() - began)
    times.sort()
    figure = f"{statistics.median(times) * 1000:.1f} ms  (95%: {times[int(len(times) * 0.95)] * 1000:.1f} ms)"
    return (f"{CHUNKS:,} chunks searched {what}", figure, "under 20 ms")
