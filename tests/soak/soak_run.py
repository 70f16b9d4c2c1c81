"""Making a soak of one model: its plan, its sets of adapters, and what is measured around it.

Knows nothing of what is right.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from workbench import paths
from workbench.inference.llamacpp.engine import LlamaEngine
from workbench.inference.types import Chunk, GenerateRequest, Progress, Sampling
from workbench.models.reference import Adapter, Applied, Model
from workbench.prompting.prompt import Message

from .soak_compare import TOLERANCES
from .soak_drive import Drive
from .soak_plan import Material, SoakRequest, plan, read_messages
from .soak_report import Report, Soak

CONTEXT = 448
"""Tokens of a conversation: few, so that requests wait for cells, and prefixes are parked."""
PARKED = 4 * 2**20
NUMBERS = 10**6
"""Ids from here on belong to the soak itself."""


def soak(
    count: int, seed: int, folder: Path, file: str = "desk-q8_0.gguf", threads: int = 1, most_sets: int = 12
) -> Soak:
    """So many requests to the embedded model. folder: for the adapters that are made."""
    model = Model("desk", paths.find_shipped(f"assets/{file}"), context_tokens=CONTEXT)
    known = read_messages(paths.find_shipped("assets/data/queues/test.jsonl"))
    report, engine = Report(count, TOLERANCES[file]), LlamaEngine.open(model, threads, 8192, lambda _: True, PARKED)
    ends = [token for token in range(engine.info.vocabulary) if engine._vocabulary.ends(token)]
    asked = plan(count, seed, Material(make_sets(folder)[:most_sets], known, ends))
    report.started.append(fill(engine, known, asked))
    report.used.append(_used(engine))
    drive, began = Drive(engine), time.monotonic()
    quarter = max(1, -(-count // 4))
    _look(report, engine)
    for start in range(0, count, quarter):
        drive.run(asked[start : start + quarter])
        _look(report, engine)
    report.seconds = time.monotonic() - began
    report.started.append(fill(engine, known, asked))
    report.used.append(_used(engine))
    engine.close()
    return Soak.of(report, model, asked, drive.fates)


def make_sets(folder: Path) -> list[tuple[Applied, ...]]:
    """The bare model, and more sets of adapters than have a context at the same time."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from gguf_fixture import write_gguf_adapter

    base = paths.find_shipped("assets/desk-f16.gguf")
    shipped = Adapter("queues", paths.find_shipped("assets/queues-lora.gguf"), "gguf")
    made = [
        Adapter(f"made{seed}", write_gguf_adapter(folder / f"made{seed}.gguf", base, seed), "gguf") for seed in (1, 2)
    ]
    one, two = made
    sets: list[tuple[Applied, ...]] = [(), (Applied(shipped),), (Applied(shipped, 0.5),)]
    sets += [(Applied(shipped, 0.7), Applied(one, 0.005)), (Applied(one, 0.01),), (Applied(two, -0.01),)]
    return sets + [(Applied(shipped, 0.1 * step),) for step in range(2, 9) if step != 5]


def fill(engine: LlamaEngine, known: Sequence[tuple[str, str]], asked: Sequence[SoakRequest]) -> int:
    """Use every sequence and every cell of every set's context at once: what is lost would be missed now.

    Returns how many of a hundred requests to the bare model began in the first step.
    """
    words = " ".join(message for message, _ in known)
    for place, adapters in enumerate(dict.fromkeys(one.wish.adapters for one in asked)):
        for number in range(2 if adapters else 7):  # more than fit at once
            text = f"{place} {number} {words[number * 400 :]}"
            while engine.count([_long(0, text)])[0] > CONTEXT - 40:
                text = text[: int(len(text) * 0.9)]
            engine.submit(_long(NUMBERS + 100 * place + number, text, adapters))
        failures = [event for event in _drain(engine) if getattr(event, "message", "")]
        assert not failures, failures
    for number in range(100):
        engine.submit(GenerateRequest(2 * NUMBERS + number, (Message("user", "x"),), Sampling(max_tokens=2)))
    started = sum(isinstance(event, Progress) for event in engine.step())
    _drain(engine)
    return started


def _look(report: Report, engine: LlamaEngine) -> None:
    """Note the memory now."""
    gc.collect()
    report.memory.append(int(psutil.Process().memory_info().rss))
    logits = sum(scheduler._prefixes._logits.bytes for scheduler in engine._contexts.schedulers)
    report.kept.append(engine.status.prompt_cache_bytes + logits)


def _long(number: int, text: str, adapters: tuple[Applied, ...] = ()) -> GenerateRequest:
    return GenerateRequest(number, (Message("user", text),), Sampling(max_tokens=CONTEXT), adapters=adapters)


def _drain(engine: LlamaEngine) -> list[object]:
    events: list[object] = []
    while engine.busy:
        events += [event for event in engine.step() if not isinstance(event, Chunk | Progress)]
    return events


def _used(engine: LlamaEngine) -> int:
    return engine.status.used_kv_tokens
