"""The generation matrix against llama-server, with the best number of its slots: right after it started (cold), and
again with the same prompts (warm). BENCH_SLOTS chooses the numbers."""

from __future__ import annotations

import os
import statistics
from pathlib import Path

from tests.benchmarks.contest import NEW, ROUNDS, Row, matrix, models, ratio
from tests.benchmarks.own import Own
from tests.benchmarks.programs import serve
from tests.benchmarks.shapes import ModelShape, write_shape
from tests.peers.llama_cpp_programs import Missing

SLOTS = tuple(int(slots) for slots in os.environ.get("BENCH_SLOTS", "1,4,16").split(","))


def measure() -> list[Row]:
    """Rows for the table: what, figure, aim."""
    try:
        return [row for shape, kind, name in models() for row in _measure(shape, write_shape(shape, kind), name)]
    except Missing as reason:
        return [("matrix / llama-server", f"not run: {reason}", "at most 0.40 cold, 0.65 warm")]


def _measure(shape: ModelShape, path: Path, name: str) -> list[Row]:
    ours = Own(path)
    ours.write(matrix(shape, 99)[:1])
    own: list[tuple[float, float]] = []
    theirs: dict[int, list[tuple[float, float]]] = {slots: [] for slots in SLOTS}
    for turn in range(ROUNDS):
        prompts = matrix(shape, turn)
        own.append((ours.write(prompts).seconds, ours.write(prompts).seconds))
        for slots in SLOTS:
            with serve(path, slots) as server:
                server.write(matrix(shape, 99)[:1], NEW)
                theirs[slots].append((server.write(prompts, NEW), server.write(prompts, NEW)))
    ours.close()
    mine = _medians(own)
    cold = {slots: _medians(times)[0] for slots, times in theirs.items()}
    warm = {slots: _medians(times)[1] for slots, times in theirs.items()}
    return [
        _compare(f"{name}: matrix / llama-server, cold", mine[0], cold, "at most 0.40"),
        _compare(f"{name}: matrix cold / llama-server warm", mine[0], warm, "at most 0.65"),
        _compare(f"{name}: matrix warm / llama-server warm", mine[1], warm, "less is better"),
    ]


def _medians(times: list[tuple[float, float]]) -> tuple[float, float]:
    return statistics.median(cold for cold, _ in times), statistics.median(warm for _, warm in times)


def _compare(what: str, ours: float, theirs: dict[int, float], aim: str) -> Row:
    best = min(theirs, key=lambda slots: theirs[slots])
    what, figure, aim = ratio(what, ours, theirs[best], aim)
    all_of_them = ", ".join(f"{slots}: {seconds:.2f}" for slots, seconds in theirs.items())
    return what, f"{figure[:-1]}; slots {all_of_them})", aim
