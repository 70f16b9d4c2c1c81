"""Cancel in the middle of reading a prompt of 512 tokens: from the call to the last chunk, which says `cancelled`, with
the engine in a process of its own, as the screen has it."""

from __future__ import annotations

import random
import statistics
import string
import threading
import time
from pathlib import Path

from tests.benchmarks.contest import Row, models
from tests.benchmarks.shapes import write_shape
from workbench.engines.engine import Chunk, Event, Progress, Sampling
from workbench.hosting.pool import Pool
from workbench.models.reference import Model
from workbench.prompting.prompt import Message

TIMES, TOKENS = 20, 512
_PATIENCE = 60.0


def measure() -> list[Row]:
    """Rows for the table: what, figure, aim."""
    return [_measure(write_shape(shape, kind), name) for shape, kind, name in models()]


def _measure(path: Path, name: str) -> Row:
    pool, chance = Pool(max_context_tokens=4096), random.Random(1)
    model = Model("shape", path, context_tokens=4096)
    try:
        pool.load(model).result(_PATIENCE)
        whole = _ask(pool, model, chance, None)
        waits = [_ask(pool, model, chance, whole * chance.uniform(0.1, 0.8)) for _ in range(TIMES)]
    finally:
        pool.close()
    times = sorted(seconds * 1000 for seconds in waits)
    figure = f"{statistics.median(times):.1f} ms  (worst of {TIMES}: {times[-1]:.1f} ms; all of it {whole:.2f} s)"
    return f"{name}: cancel in a prompt of {TOKENS}, to the last chunk", figure, "at most 10 ms"


def _ask(pool: Pool, model: Model, chance: random.Random, after: float | None) -> float:
    """Seconds from the cancel to the end; without one, to the first token."""
    begun, ended = threading.Event(), threading.Event()
    last: list[tuple[float, Event]] = []

    def take(event: Event) -> None:
        if isinstance(event, Progress):
            if event.state != "running":
                return
            begun.set()
        elif isinstance(event, Chunk) and event.stop_reason is None:
            last.append((time.perf_counter(), event))
        else:
            last.append((time.perf_counter(), event))
            ended.set()

    text = "".join(chance.choices(string.ascii_letters, k=TOKENS))
    sampling = Sampling(max_tokens=1 if after is None else 64, temperature=0)
    ticket = pool.submit(model, [Message("user", text)], sampling, "completion", take)
    assert begun.wait(_PATIENCE)
    started = time.perf_counter()
    if after is not None:
        time.sleep(after)
        started = time.perf_counter()
        ticket.cancel()
    assert ended.wait(_PATIENCE)
    if after is not None:
        assert isinstance(last[-1][1], Chunk) and last[-1][1].stop_reason == "cancelled", last
    return last[-1][0] - started
