"""Whether two ways to compute the same model give the same answers: the check after every conversion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from workbench.datasets import Case
from workbench.errors import EngineError, WorkbenchError
from workbench.inference.client import gather_now
from workbench.inference.pool import Pool
from workbench.inference.types import Chunk, Sampling, TokenLogprob
from workbench.models.reference import Applied, Model
from workbench.prompting.prompt import Prompt
from workbench.runs.bench import Variant
from workbench.runs.generation import GenerationSpec


class Side(NamedTuple):
    """A model and what is laid over it."""

    model: Model
    adapters: tuple[Applied, ...] = ()


class DifferingAnswer(NamedTuple):
    """A case whose answers differ."""

    case: int
    before: str
    after: str


class Agreement(NamedTuple):
    """How many of the cases got the same greedy answer, and those that did not.

    logprob: the largest difference of a token's log-probability (natural), as far as the answers go together.
    """

    cases: int
    differences: tuple[DifferingAnswer, ...]
    logprob: float

    @property
    def share(self) -> float:
        return 1 - len(self.differences) / self.cases if self.cases else 1.0


class _SideAnswer(NamedTuple):
    """The answer of one side to one case, with its tokens' log-probabilities."""

    text: str
    tokens: tuple[TokenLogprob, ...]


def measure_agreement(
    prompt: Prompt, cases: Sequence[Case], before: Side, after: Side, pool: Pool, max_tokens: int = 32
) -> Agreement:
    """Answer every case on both sides, greedily. Raises EngineError when one of them cannot answer."""
    variant = Variant("", "", "", Sampling(max_tokens=max_tokens))

    async def answer(case: Case, side: Side) -> _SideAnswer:
        asked = GenerationSpec.of(variant, prompt, case, "refuse", side.model, side.adapters)
        events = pool.client(asked.model).generate(asked.request(top_logprobs=1))
        try:
            chunks = [event async for event in events if isinstance(event, Chunk)]
        except WorkbenchError as error:
            message = f"{side.model.name} could not answer: {error.message}"
            raise EngineError(message, error.hint, error.details) from error
        return _SideAnswer("".join(one.text for one in chunks), tuple(token for one in chunks for token in one.tokens))

    answers = gather_now(answer(case, side) for case in cases for side in (before, after))
    pairs = list(zip(answers[::2], answers[1::2], strict=True))
    differing = [
        DifferingAnswer(case.number, first.text, second.text)
        for case, (first, second) in zip(cases, pairs, strict=True)
        if first.text != second.text
    ]
    return Agreement(len(pairs), tuple(differing), max(map(_part, pairs), default=0.0))


def _part(pair: Iterable[_SideAnswer]) -> float:
    """The largest difference in log-probability up to the first token that differs, that one not counted."""
    first, second = pair
    largest = 0.0
    for left, right in zip(first.tokens, second.tokens, strict=False):
        if left.text != right.text:
            break
        largest = max(largest, abs(left.logprob - right.logprob))
    return largest
