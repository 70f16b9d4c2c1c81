"""Whether two ways to compute the same model give the same answers: the check after every conversion.

Knows nothing of what was converted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from queue import SimpleQueue
from typing import NamedTuple

from workbench.engines.engine import Chunk, Event, Failure, Sampling, TokenChoice
from workbench.errors import EngineError
from workbench.evaluation.bench import Variant
from workbench.evaluation.datasets import Case
from workbench.evaluation.launch import Draft, Launch
from workbench.hosting.pool import Pool
from workbench.models.reference import Applied, Model
from workbench.prompting.prompt import Prompt


class Side(NamedTuple):
    """A model and what is laid over it."""

    model: Model
    adapters: tuple[Applied, ...] = ()


class Difference(NamedTuple):
    """A case whose answers differ."""

    case: int
    before: str
    after: str


class Agreement(NamedTuple):
    """How many of the cases got the same greedy answer, and those that did not.

    logprob: the largest difference of a token's log-probability (natural), as far as the answers go together.
    """

    cases: int
    differences: tuple[Difference, ...]
    logprob: float

    @property
    def share(self) -> float:
        return 1 - len(self.differences) / self.cases if self.cases else 1.0


class _Answer:
    """One case on one side, under way."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.text = ""
        self.tokens: list[TokenChoice] = []

    def take(self, event: Event) -> bool:
        """Go on with what the engine said; whether that was the last of it. Raises EngineError."""
        if isinstance(event, Failure):
            raise EngineError(f"{self.side.model.name} could not answer: {event.message}", event.hint, event.details)
        if not isinstance(event, Chunk):
            return False
        self.text += event.text
        self.tokens += event.tokens
        return event.stop_reason is not None


def measure_agreement(
    prompt: Prompt, cases: Sequence[Case], before: Side, after: Side, pool: Pool, max_tokens: int = 32
) -> Agreement:
    """Answer every case on both sides, greedily. Raises EngineError when one of them cannot answer."""
    happened: SimpleQueue[tuple[_Answer, Event]] = SimpleQueue()
    pairs = [(_Answer(before), _Answer(after)) for _ in cases]
    variant = Variant("", "", "", Sampling(max_tokens=max_tokens))
    launches = []
    try:
        for case, pair in zip(cases, pairs, strict=True):
            for answer in pair:
                draft = Draft.of(variant, prompt, case, "refuse", answer.side.model, answer.side.adapters)
                launches.append(_launch(pool, draft, answer, happened))
        waiting = len(launches)
        while waiting:
            answer, event = happened.get()
            waiting -= answer.take(event)
    finally:
        for launch in launches:
            launch.cancel()
    differing = [
        Difference(case.number, first.text, second.text)
        for case, (first, second) in zip(cases, pairs, strict=True)
        if first.text != second.text
    ]
    return Agreement(len(pairs), tuple(differing), max(map(_part, pairs), default=0.0))


def _launch(pool: Pool, draft: Draft, answer: _Answer, happened: SimpleQueue[tuple[_Answer, Event]]) -> Launch:
    return Launch(pool, draft, lambda event: happened.put((answer, event)), guesses=1)


def _part(pair: Iterable[_Answer]) -> float:
    """The largest difference in log-probability up to the first token that differs, that one not counted."""
    first, second = pair
    largest = 0.0
    for left, right in zip(first.tokens, second.tokens, strict=False):
        if left.text != right.text:
            break
        largest = max(largest, abs(left.logprob - right.logprob))
    return largest
