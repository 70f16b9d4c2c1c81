"""Writing at full speed: rows side by side against `llama-batched-bench`, the price of telling the five likeliest, and
the bytes of weights read in a second against what the memory can give."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tests.benchmarks.contest import ROUNDS, THREADS, Row, Tokens, draw, models, take_turns
from tests.benchmarks.own import Own
from tests.benchmarks.shapes import LARGE, ModelShape, write_shape
from tests.peers.llama_cpp_programs import BATCHED_BENCH, Missing, find

ROWS, PROMPT, NEW, GUESSES = (1, 8, 32), 128, 32, 5
_PROBE_BYTES = 256 * 2**20


def measure() -> list[Row]:
    """Rows for the table: what, figure, aim."""
    return [row for shape, kind, name in models() for row in _measure(shape, write_shape(shape, kind), name)]


def _measure(shape: ModelShape, path: Path, name: str) -> list[Row]:
    mine: dict[int, list[float]] = {rows: [] for rows in ROWS}
    theirs: dict[int, list[float]] = {rows: [] for rows in ROWS}
    memory, why = [read_memory()], ""
    for turn in range(ROUNDS):
        for rows in ROWS:
            mine[rows].append(rows / write_fresh(path, shape, turn, rows))
        memory.append(read_memory())
        try:
            for rows, speed in _bench(path).items():
                theirs[rows].append(speed)
        except Missing as reason:
            why = str(reason)
    found = [_compare(f"{name}: {rows} rows / llama-batched-bench", mine[rows], theirs[rows], why) for rows in ROWS]
    ours = Own(path, 1024)
    found += [_price(ours, shape, name, rows) for rows in (1, 8)]
    ours.close()
    if shape == LARGE:
        found.append(_reach(f"{name}: bytes of weights a second / memory bandwidth", path, mine[1], max(memory)))
    return found


def write_fresh(path: Path, shape: ModelShape, turn: int, rows: int, priority: int = 1) -> float:
    """Seconds for a token of every row, in an engine whose cache holds no others, as in what it is held against."""
    ours = Own(path, 1024)
    ours.write([draw(shape, 99, 4)], 8, priority=priority)
    pace = write_rows(ours, shape, turn, rows, priority=priority)
    ours.close()
    return pace


def write_rows(ours: Own, shape: ModelShape, turn: int, rows: int, top_logprobs: int = 0, priority: int = 1) -> float:
    """Seconds for a token of every row, all of which begin alike."""
    shared = draw(shape, 1000 * turn + 7 * rows + top_logprobs, PROMPT - 1)
    prompts: list[Tokens] = [[*shared, 300 + row] for row in range(rows)]
    pace = ours.write(prompts, NEW, top_logprobs=top_logprobs, priority=priority).pace
    ours.settle()
    return pace


def _compare(what: str, ours: list[float], theirs: list[float], why: str) -> Row:
    if not theirs:
        return what, f"not run: {why}", "at least 0.95"
    mine, others = statistics.median(ours), statistics.median(theirs)
    return what, f"{mine / others:.2f}  ({mine:.0f} tokens/s / {others:.0f} tokens/s)", "at least 0.95"


def _price(ours: Own, shape: ModelShape, name: str, rows: int) -> Row:
    times = take_turns(
        {
            "on": lambda turn: write_rows(ours, shape, turn + 50, rows, GUESSES),
            "off": lambda turn: write_rows(ours, shape, turn + 60, rows),
        },
        2 * ROUNDS,
    )
    figure = f"{times['on'] / times['off']:.3f}  ({times['on'] * 1000:.2f} ms / {times['off'] * 1000:.2f} ms)"
    return f"{name}: a step of {rows} with the {GUESSES} likeliest / without", figure, "at most 1.10"


def _reach(what: str, path: Path, speeds: list[float], bandwidth: float) -> Row:
    read = path.stat().st_size * statistics.median(speeds)  # all but the header, a hundredth of it
    return what, f"{read / bandwidth:.2f}  ({read / 1e9:.1f} GB/s / {bandwidth / 1e9:.1f} GB/s)", "at least 0.70"


def _bench(path: Path) -> dict[int, float]:
    """Tokens a second by rows, of the C++ loop, which takes no samples."""
    command = [str(find(BATCHED_BENCH)), "-m", str(path), "-c", "2048", "-b", "2048", "-ub", "512", "-pps", "-kvu"]
    command += ["-npp", str(PROMPT), "-ntg", str(NEW), "-npl", ",".join(map(str, ROWS))]
    command += ["-t", str(THREADS), "-tb", str(THREADS), "--output-format", "jsonl"]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise Missing(f"{BATCHED_BENCH} ended with code {done.returncode}")
    return {line["pl"]: line["speed_tg"] for line in lines}


def read_memory() -> float:
    """Bytes a second that all threads together read; the best of some."""
    parts = [np.ones(_PROBE_BYTES // 4 // THREADS, dtype=np.float32) for _ in range(THREADS)]
    best = float("inf")
    with ThreadPoolExecutor(THREADS) as workers:
        for _ in range(8):
            started = time.perf_counter()
            list(workers.map(np.max, parts))
            best = min(best, time.perf_counter() - started)
    return _PROBE_BYTES / best
