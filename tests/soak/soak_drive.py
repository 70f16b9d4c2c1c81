"""Asking an engine for all of a plan, and keeping what came of it. Knows nothing of what is right."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from workbench.inference.types import (
    Chunk,
    Engine,
    Failure,
    Likelihood,
    LoglikelihoodRequest,
    LoglikelihoodResult,
    Progress,
    TokenLogprob,
)

from .soak_plan import SoakRequest

MOST_WAITING = 160
"""Wishes under way at the same time."""


@dataclass
class Fate:
    """What became of a wish. asked, begun, ended: steps; ends: how often it ended. tokens: where `keeps`."""

    asked: int
    keeps: bool = False
    begun: int | None = None
    ended: int | None = None
    ends: int = 0
    text: str = ""
    reason: str = ""
    tokens: list[TokenLogprob] = field(default_factory=list)
    likelihoods: tuple[Likelihood, ...] = ()


class Drive:
    """A soak of one engine. fates: by the wish's id."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.fates: dict[int, Fate] = {}
        self.steps = 0
        self._under_way: set[int] = set()
        self._called_off: dict[int, list[tuple[int, bool]]] = {}

    def run(self, asked: Iterable[SoakRequest]) -> None:
        """Ask in order, and go on until all has ended."""
        waiting, pause, lull = deque(asked), 0, False
        while waiting or self.engine.busy:
            while waiting and not pause and not lull and len(self._under_way) < MOST_WAITING:
                one = waiting.popleft()
                self._ask(one)
                pause, lull = one.pause, one.lull
            self._step()
            pause = max(0, pause - 1)
            lull = lull and self.engine.busy

    def _ask(self, one: SoakRequest) -> None:
        wish = one.wish
        self.fates[wish.id] = Fate(self.steps, wish.deterministic)
        self._under_way.add(wish.id)
        if wish.priority == 0 and self.engine.busy:  # as the process's reader does, while a step is under way
            self.engine.preempt(wish.id)
            self._take(self.engine.step())
            self.engine.resume(wish.id)
        if isinstance(wish, LoglikelihoodRequest):
            self.engine.loglikelihood(wish)
        else:
            self.engine.submit(wish)
        if one.cancel_after is not None:
            self._called_off.setdefault(self.steps + one.cancel_after, []).append((wish.id, one.interrupts))

    def _step(self) -> None:
        called_off = [one for one in self._called_off.pop(self.steps, ()) if one[0] in self._under_way]
        for number, interrupts in called_off:
            if interrupts:  # as the process's reader does, while a step is under way
                self.engine.abort(number)
        if called_off:
            self._take(self.engine.step())
        for number, _ in called_off:
            self.engine.cancel(number)
        self._take(self.engine.step())
        self.steps += 1

    def _take(self, events: Sequence[object]) -> None:
        for event in events:
            match event:
                case Progress(number, "running") if self.fates[number].begun is None:
                    self.fates[number].begun = self.steps
                case Chunk():
                    self._hear(event)
                case LoglikelihoodResult(number, likelihoods):
                    self.fates[number].likelihoods = likelihoods
                    self._end(number, "weighed")
                case Failure(number, message):
                    self._end(number, f"failed: {message}")

    def _hear(self, chunk: Chunk) -> None:
        fate = self.fates[chunk.request]
        fate.text += chunk.text
        fate.tokens += chunk.tokens if fate.keeps else ()
        if chunk.stop_reason:
            self._end(chunk.request, chunk.stop_reason)

    def _end(self, number: int, reason: str) -> None:
        fate = self.fates[number]
        fate.ended, fate.reason = self.steps, reason
        fate.ends += 1
        self._under_way.discard(number)
