"""A step of 2 to 16 rows: the engine against the better of one batch on all threads and a context for each thread, both
by hand; at two rows also against always batching, as servers do."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.benchmarks import bare
from tests.benchmarks.contest import THREADS, Row, draw, models, ratio, take_turns
from tests.benchmarks.decode import NEW, PROMPT, write_fresh
from tests.benchmarks.shapes import ModelShape, write_shape

ROWS = (2, 3, 4, 6, 8, 12, 16)
MOST = max(ROWS)


def measure() -> list[Row]:
    """Rows for the table: what, figure, aim."""
    return [row for shape, kind, name in models() for row in _measure(shape, write_shape(shape, kind), kind, name)]


def _measure(shape: ModelShape, path: Path, kind: str, name: str) -> list[Row]:
    by_hand = _ByHand(path, shape)
    ratios: dict[int, float] = {}
    found: list[Row] = []
    for rows in ROWS:
        contenders: dict[str, Callable[[int], float]] = {
            "ours": lambda turn, rows=rows: write_fresh(path, shape, turn, rows, 0),  # type: ignore[misc]
            "batch": partial(by_hand.batch, rows),
            "apart": partial(by_hand.apart, rows),
        }
        times = take_turns(contenders)
        ratios[rows] = times["ours"] / min(times["batch"], times["apart"])
        steps = ", ".join(f"{way} {seconds * 1000:.1f} ms" for way, seconds in times.items())
        print(f"({name}, {rows} rows: {steps})", file=sys.stderr)
        if rows == 2:
            aim = "at most 0.55" if kind == "q8_0" else "at most 1.05"
            found.append(ratio(f"{name}: a step of 2 rows / always batching", times["ours"], times["batch"], aim, "ms"))
    by_hand.close()
    worst = max(ratios, key=lambda rows: ratios[rows])
    each = ", ".join(f"{rows}: {value:.2f}" for rows, value in ratios.items())
    what = f"{name}: a step of 2 to 16 rows / the better layout"
    return [(what, f"{ratios[worst]:.2f}  (at {worst} rows; {each})", "at most 1.05"), *found]


class _ByHand:
    """Both layouts, over the same weights."""

    def __init__(self, path: Path, shape: ModelShape) -> None:
        self._weights = bare.Weights(path)
        self._shape = shape
        cells = PROMPT + MOST * NEW
        self._together = bare.BareContext(self._weights, cells, MOST, THREADS)
        self._apart = [bare.BareContext(self._weights, cells, MOST, 1) for _ in range(THREADS)]
        self._workers = ThreadPoolExecutor(THREADS)

    def batch(self, rows: int, turn: int) -> float:
        """Seconds for a token of every row."""
        return self._write([self._together], rows, turn)

    def apart(self, rows: int, turn: int) -> float:
        """As `batch`."""
        return self._write(self._apart, rows, turn)

    def _write(self, contexts: list[bare.BareContext], rows: int, turn: int) -> float:
        shares = [list(range(rows))[place :: len(contexts)] for place in range(len(contexts))]
        lanes = [(context, share) for context, share in zip(contexts, shares, strict=True) if share]
        prompt = draw(self._shape, 1000 * turn + rows, PROMPT)
        for context, share in lanes:
            context.begin(prompt, share)
        last = [[300 + row for row in share] for _, share in lanes]
        started = time.perf_counter()
        for position in range(PROMPT, PROMPT + NEW - 1):
            jobs = [
                self._workers.submit(context.step, tokens, position, share)
                for (context, share), tokens in zip(lanes[1:], last[1:], strict=True)
            ]
            first = lanes[0][0].step(last[0], position, lanes[0][1])
            last = [first, *(job.result() for job in jobs)]
        return (time.perf_counter() - started) / (NEW - 1)

    def close(self) -> None:
        for context in (self._together, *self._apart):
            context.close()
        self._workers.shutdown()
        self._weights.close()
