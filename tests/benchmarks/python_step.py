"""The Python part of a decode step: all that a step does but the evaluation itself, whose logits are made up."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.contest import THREADS, Row, models
from tests.benchmarks.shapes import ModelShape, write_shape

ROWS = (8, 32)
STEPS, WARM_UP = 200, 20


def measure() -> list[Row]:
    """Rows for the table: what, figure, aim."""
    return [row for shape, kind, name in models() for row in _measure(shape, write_shape(shape, kind), name)]


def _measure(shape: ModelShape, path: Path, name: str) -> list[Row]:
    kinds: dict[str, dict[str, Any]] = {
        "greedy": {},
        "greedy with stop strings": {"stop": ("\n\n", "###")},
        "temperature 0.8, top_k 40, top_p 0.95": {"temperature": 0.8, "top_k": 40, "top_p": 0.95},
    }
    return [
        (
            f"{name}: Python part of a step of {rows} rows, {kind}",
            f"{1000 * time_step(shape, path, rows, **sampling):.2f} ms",
            "below 1 ms" if rows == max(ROWS) and not sampling else "",
        )
        for kind, sampling in kinds.items()
        for rows in ROWS
    ]


def time_step(shape: ModelShape, path: Path, rows: int, **sampling: Any) -> float:
    """Processor seconds of a step whose evaluation takes none: the median of many, whatever else the machine does."""
    from workbench.inference.llamacpp import context
    from workbench.inference.llamacpp.engine import LlamaEngine
    from workbench.inference.types import GenerateRequest, Sampling
    from workbench.models.reference import Model
    from workbench.prompting.prompt import Message

    engine = LlamaEngine.open(Model("shape", path), THREADS, 4096, lambda _: True)
    engine._vocabulary.ends = lambda token: False  # type: ignore[method-assign]
    asked = Sampling(max_tokens=2 * STEPS, **sampling)
    for number in range(rows):
        engine.submit(GenerateRequest(number, (Message("user", f"{number} one two three"),), asked, "completion"))
    scheduler = engine._contexts.schedulers[0]
    while len(scheduler._queue.running) < rows or not all(one.decoding for one in scheduler._queue.running):
        engine.step()
    logits = np.random.default_rng(0).standard_normal((rows, shape.vocabulary)).astype(np.float32)
    own = context.native.llama_decode, context.Context.logits
    context.native.llama_decode = lambda *_: 0
    context.Context.logits = lambda _, count: logits[:count]  # type: ignore[method-assign]
    try:
        times = []
        for _ in range(WARM_UP + STEPS):
            started = time.thread_time()
            engine.step()
            times.append(time.thread_time() - started)
    finally:
        context.native.llama_decode, context.Context.logits = own  # type: ignore[method-assign]
        engine.close()
    return statistics.median(times[WARM_UP:])
