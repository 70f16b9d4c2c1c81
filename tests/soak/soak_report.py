"""A soak of one model, and what it found. Knows nothing of tests or the command line."""

from __future__ import annotations

import gc
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from workbench import paths
from workbench.engines.engine import Chunk, Progress, Request, Sampling, Weighing, fold
from workbench.engines.llamacpp.engine import LlamaEngine
from workbench.models.reference import Adapter, Applied, Model
from workbench.prompting.prompt import Message

from .soak_compare import TOLERANCES, Parting, Tolerance, answer_alone, distance, part, weigh_alone
from .soak_drive import Drive, Fate
from .soak_plan import Asked, Material, plan, read_messages

CONTEXT = 448
"""Tokens of a conversation: few, so that requests wait for cells, and prefixes are parked."""
PARKED = 4 * 2**20
NUMBERS = 10**6
"""Ids from here on belong to the soak itself."""


@dataclass
class Report:
    """What a soak found. memory: of the process, at the start and after each quarter; kept: of that on purpose.

    odd: wishes that did not end once, and as they should. passed: later requests of the same kind that began before
    one, at most. cells, started: what filled the caches, and how many began at once, before and after.
    """

    count: int
    tolerance: Tolerance
    seconds: float = 0.0
    compared: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    odd: list[str] = field(default_factory=list)
    partings: list[Parting] = field(default_factory=list)
    weighed: float = 0.0
    passed: int = 0
    longest: int = 0
    memory: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    started: list[int] = field(default_factory=list)
    used: list[int] = field(default_factory=list)

    @property
    def wrong(self) -> list[Parting]:
        """Answers that differ although the choice was not near."""
        return [one for one in self.partings if one.margin >= self.tolerance.near]

    def lines(self) -> Iterator[str]:
        """The report as text."""
        yield f"{self.count:,} requests in {self.seconds:.0f} s: {dict(self.reasons.most_common())}"
        yield f"ended otherwise than once and as they should: {len(self.odd)} {self.odd[:5]}"
        yield f"{self.compared:,} compared with the reproducible mode: {len(self.partings)} differ"
        for one in sorted(self.partings, key=lambda one: -one.margin):
            yield f"  {one.number:>6} {one.kind:<7} margin {one.margin:.4f}  {one.expected!r} / {one.found!r}"
        yield f"of them not near (margin {self.tolerance.near} or more): {len(self.wrong)}"
        yield f"likelihoods differ by {self.weighed:.4f} for a token at most (allowed: {self.tolerance.weighed})"
        yield f"passed over {self.passed} times at most; the longest took {self.longest} steps from asking to its end"
        yield f"resident memory, MiB: {_mebibytes(self.memory)}; of that kept for later: {_mebibytes(self.kept)}"
        yield f"began at once, before and after: {self.started}; cells in use at rest: {self.used}"


def soak(count: int, seed: int, folder: Path, file: str = "desk-q8_0.gguf") -> Report:
    """So many requests to the embedded model. folder: for the adapters that are made."""
    model = Model("desk", paths.find_shipped(f"assets/{file}"), context_tokens=CONTEXT)
    known = read_messages(paths.find_shipped("assets/data/queues/test.jsonl"))
    report, engine = Report(count, TOLERANCES[file]), LlamaEngine.open(model, 1, 8192, lambda _: True, PARKED)
    ends = [token for token in range(engine.info.vocabulary) if engine._vocabulary.ends(token)]
    asked = plan(count, seed, Material(make_sets(folder), known, ends))
    fill(engine, known, asked)
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
    judge(report, asked, drive.fates, model)
    return report


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
    sets += [(Applied(one, 0.01),), (Applied(two, -0.01),), (Applied(shipped, 0.7), Applied(one, 0.005))]
    return sets + [(Applied(shipped, 0.1 * step),) for step in range(2, 9) if step != 5]


def fill(engine: LlamaEngine, known: Sequence[tuple[str, str]], asked: Sequence[Asked]) -> int:
    """Use every sequence and every cell of every set's context at once: what is lost would be missed now.

    Returns how many of a hundred requests to the bare model began in the first step.
    """
    words = " ".join(message for message, _ in known)
    for place, adapters in enumerate(dict.fromkeys(one.wish.adapters for one in asked)):
        for number in range(7):
            text = f"{place} {number} {words[number * 400 :]}"
            while engine.count([_long(0, text)])[0] > CONTEXT - 40:
                text = text[: int(len(text) * 0.9)]
            engine.submit(_long(NUMBERS + 100 * place + number, text, adapters))
        failures = [event for event in _drain(engine) if getattr(event, "message", "")]
        assert not failures, failures
    for number in range(100):
        engine.submit(Request(2 * NUMBERS + number, (Message("user", "x"),), Sampling(max_tokens=2)))
    started = sum(isinstance(event, Progress) for event in engine.step())
    _drain(engine)
    return started


def judge(report: Report, asked: Sequence[Asked], fates: dict[int, Fate], model: Model) -> None:
    """Compare each fate with what a new engine says in its reproducible mode."""
    alone = LlamaEngine.open(model, 1, 8192, lambda _: True, 0)
    ordered = sorted(asked, key=lambda one: repr(one.wish.adapters))  # a set's context is opened once
    for one in ordered:
        fate = fates.get(one.wish.id)
        if fate is None:
            report.odd.append(f"{one.wish.id}: never asked")
            continue
        report.reasons[fate.reason] += 1
        if problem := _find_problem(one, fate):
            report.odd.append(f"{one.wish.id}: {problem}")
        elif fate.reason != "cancelled":
            _compare(report, one.wish, fate, alone)
            report.compared += 1
    report.passed = count_passed(asked, fates)
    report.longest = max((fate.ended - fate.asked for fate in fates.values() if fate.ended is not None), default=0)
    alone.close()


def count_passed(asked: Sequence[Asked], fates: dict[int, Fate]) -> int:
    """How many later requests of the same set, mode and priority began before one, at most."""
    lines: dict[object, list[Fate]] = {}
    for one in asked:
        wish = one.wish
        lines.setdefault((repr(wish.adapters), wish.reproducible, wish.priority), []).append(fates[wish.id])
    most = 0
    for line in lines.values():
        begun = [fate.begun for fate in line if fate.begun is not None]
        for place, moment in enumerate(begun):
            most = max(most, sum(later < moment for later in begun[place + 1 :]))
    return most


def _look(report: Report, engine: LlamaEngine) -> None:
    """Note the memory now."""
    gc.collect()
    report.memory.append(int(psutil.Process().memory_info().rss))
    endings = sum(scheduler._endings.bytes for scheduler in engine._contexts.schedulers)
    report.kept.append(engine.status.parked_bytes + endings)


def _mebibytes(sizes: Sequence[int]) -> str:
    return ", ".join(f"{size / 2**20:.1f}" for size in sizes)


def _compare(report: Report, wish: Request | Weighing, fate: Fate, alone: LlamaEngine) -> None:
    if isinstance(wish, Weighing):
        found = weigh_alone(alone, wish)
        apart = distance(fate.likelihoods, found)
        report.weighed = max(report.weighed, apart)
        if apart > report.tolerance.weighed or (wish.reproducible and found != fate.likelihoods):
            report.odd.append(f"{wish.id}: weighed {apart} apart")
        return
    chunks = answer_alone(alone, wish)
    expected = fold(chunks).text
    if wish.reproducible:
        same = [token for chunk in chunks for token in chunk.tokens] == fate.tokens and expected == fate.text
        report.odd += [] if same else [f"{wish.id}: not reproducible"]
    elif fate.text != expected:
        vocabulary = alone._vocabulary
        biases = {vocabulary.spell(int(key)).decode(): value for key, value in wish.sampling.logit_bias.items()}
        report.partings.append(part(alone, wish, expected, fate.text, biases))


def _find_problem(one: Asked, fate: Fate) -> str:
    if fate.ends != 1:
        return f"ended {fate.ends} times"
    if fate.reason == "cancelled":
        return "" if one.cancel_after is not None else "cancelled by nobody"
    usual = {"weighed"} if isinstance(one.wish, Weighing) else {"eos", "stop", "length", "context"}
    return "" if fate.reason in usual else fate.reason


def _long(number: int, text: str, adapters: tuple[Applied, ...] = ()) -> Request:
    return Request(number, (Message("user", text),), Sampling(max_tokens=CONTEXT), adapters=adapters)


def _drain(engine: LlamaEngine) -> list[object]:
    events: list[object] = []
    while engine.busy:
        events += [event for event in engine.step() if not isinstance(event, Chunk | Progress)]
    return events


def _used(engine: LlamaEngine) -> int:
    return engine.status.used_cells
