"""What a soak found, and the judging of it. Knows nothing of how it was made, of tests or the command line."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from workbench.inference.llamacpp.engine import LlamaEngine
from workbench.inference.types import GenerateRequest, LoglikelihoodRequest, fold
from workbench.models.reference import Model

from .soak_compare import Parting, Tolerance, answer_alone, distance, part, weigh_alone
from .soak_drive import Fate
from .soak_plan import SoakRequest


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
        yield f"{self.compared:,} compared with the deterministic mode: {len(self.partings)} differ"
        for one in sorted(self.partings, key=lambda one: -one.margin):
            yield f"  {one.number:>6} {one.kind:<7} margin {one.margin:.4f}  {one.expected!r} / {one.found!r}"
        yield f"of them not near (margin {self.tolerance.near} or more): {len(self.wrong)}"
        yield f"likelihoods differ by {self.weighed:.4f} for a token at most (allowed: {self.tolerance.weighed})"
        yield f"passed over {self.passed} times at most; the longest took {self.longest} steps from asking to its end"
        yield f"resident memory, MiB: {_mebibytes(self.memory)}; of that kept for later: {_mebibytes(self.kept)}"
        yield f"began at once, before and after: {self.started}; cells in use at rest: {self.used}"


@dataclass
class Soak:
    """A soak whose answers are compared, as far as time is given. left: what is not compared yet."""

    report: Report
    model: Model
    fates: dict[int, Fate]
    left: list[SoakRequest]

    @classmethod
    def of(cls, report: Report, model: Model, asked: Sequence[SoakRequest], fates: dict[int, Fate]) -> Soak:
        report.passed = count_passed(asked, fates)
        report.longest = max((fate.ended - fate.asked for fate in fates.values() if fate.ended is not None), default=0)
        ordered = sorted(asked, key=lambda one: repr(one.wish.adapters))  # a set's context is opened once
        return cls(report, model, fates, ordered[::-1])

    def judge(self, seconds: float = float("inf")) -> None:
        """Compare fates with what a new engine says in its deterministic mode, for so long."""
        alone = LlamaEngine.open(self.model, 1, 8192, lambda _: True, 0)
        end = time.monotonic() + seconds
        while self.left and time.monotonic() < end:
            self._judge_one(self.left.pop(), alone)
        alone.close()

    def _judge_one(self, one: SoakRequest, alone: LlamaEngine) -> None:
        report, fate = self.report, self.fates[one.wish.id]
        report.reasons[fate.reason] += 1
        if problem := _find_problem(one, fate):
            report.odd.append(f"{one.wish.id}: {problem}")
        elif fate.reason != "cancelled":
            _compare(report, one.wish, fate, alone)
            report.compared += 1


def count_passed(asked: Sequence[SoakRequest], fates: dict[int, Fate]) -> int:
    """How many later requests of the same set, mode and priority began before one, at most."""
    lines: dict[object, list[Fate]] = {}
    for one in asked:
        wish = one.wish
        lines.setdefault((repr(wish.adapters), wish.deterministic, wish.priority), []).append(fates[wish.id])
    most = 0
    for line in lines.values():
        begun = [fate.begun for fate in line if fate.begun is not None]
        for place, moment in enumerate(begun):
            most = max(most, sum(later < moment for later in begun[place + 1 :]))
    return most


def _mebibytes(sizes: Sequence[int]) -> str:
    return ", ".join(f"{size / 2**20:.1f}" for size in sizes)


def _compare(report: Report, wish: GenerateRequest | LoglikelihoodRequest, fate: Fate, alone: LlamaEngine) -> None:
    if isinstance(wish, LoglikelihoodRequest):
        found = weigh_alone(alone, wish)
        apart = distance(fate.likelihoods, found)
        report.weighed = max(report.weighed, apart)
        if apart > report.tolerance.weighed or (wish.deterministic and found != fate.likelihoods):
            report.odd.append(f"{wish.id}: weighed {apart} apart")
        return
    chunks = answer_alone(alone, wish)
    expected = fold(chunks).text
    if wish.deterministic:
        same = [token for chunk in chunks for token in chunk.tokens] == fate.tokens and expected == fate.text
        report.odd += [] if same else [f"{wish.id}: not deterministic"]
    elif fate.text != expected:
        vocabulary = alone._vocabulary
        biases = {
            vocabulary.token_to_bytes(int(key.removeprefix("id:"))).decode(): value
            for key, value in wish.sampling.logit_bias.items()
        }
        report.partings.append(part(alone, wish, expected, fate.text, biases))


def _find_problem(one: SoakRequest, fate: Fate) -> str:
    if fate.ends != 1:
        return f"ended {fate.ends} times"
    if fate.reason == "cancelled":
        return "" if one.cancel_after is not None else "cancelled by nobody"
    usual = {"weighed"} if isinstance(one.wish, LoglikelihoodRequest) else {"eos", "stop", "length", "context"}
    return "" if fate.reason in usual else fate.reason
