"""What a schema costs: decode steps of rows that are held to one, beside steps of as many free rows."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.contest import THREADS, Row
from tests.benchmarks.shapes import LARGE, write_shape

TOKENS, ROUNDS = 48, 3
SCHEMA: dict[str, Any] = {
    "type": "array",
    "minItems": 1000,  # so that no answer ends before max_tokens
    "items": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "kind": {"enum": ["a", "b"]}, "count": {"type": "integer"}},
        "required": ["name", "kind", "count"],
        "additionalProperties": False,
    },
}


def measure() -> list[Row]:
    """Rows for the table: what, figure, aim."""
    engine = _open(write_shape(LARGE))
    found = []
    for rows in (1, 8):
        free, held = [], []
        _answer(engine, rows, json_schema=SCHEMA)  # compiles the schema and reads the vocabulary
        for _ in range(ROUNDS):  # in turns, so that other load meets both
            free.append(_answer(engine, rows, ignore_eos=True))
            held.append(_answer(engine, rows, json_schema=SCHEMA))
        without, with_schema = statistics.median(free), statistics.median(held)
        cost = (with_schema - without) / without
        figure = f"{cost:+.1%}  ({with_schema * 1000:.1f} ms / {without * 1000:.1f} ms)"
        found.append(
            (f"{LARGE.name}: a step of {rows} under a schema, {LARGE.vocabulary:,} tokens", figure, "at most 10%")
        )
    engine.close()
    return found


def _open(path: Path) -> Any:
    from workbench.inference.llamacpp.engine import LlamaEngine
    from workbench.models.reference import Model

    return LlamaEngine.open(Model("shape", path), THREADS, 2048, lambda _: True)


def _answer(engine: Any, rows: int, **sampling: Any) -> float:
    """Seconds of a step in which every row writes."""
    from workbench.inference.types import GenerateRequest, Sampling
    from workbench.prompting.prompt import Message

    for row in range(rows):
        told = Sampling(max_tokens=TOKENS, temperature=1.0, seed=row, **sampling)
        engine.submit(GenerateRequest(row, (Message("user", f"{row} go"),), told, "completion"))
    times = []
    while engine.busy:
        started = time.perf_counter()
        engine.step()
        times.append(time.perf_counter() - started)
    return statistics.median(times)
