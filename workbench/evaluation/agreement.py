"""Whether two ways to compute the same model give the same answers: the check after every conversion.

Knows nothing of what was converted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from workbench.engines.engine import Sampling
from workbench.errors import EngineError
from workbench.evaluation.bench import AdapterChoice, Bench, Variant
from workbench.evaluation.cell import CellFinished
from workbench.evaluation.dataset import Case
from workbench.evaluation.run import Sources, compare
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
    """How many of the cases got the same greedy answer, and those that did not."""

    cases: int
    differences: tuple[Difference, ...]

    @property
    def share(self) -> float:
        return 1 - len(self.differences) / self.cases if self.cases else 1.0


def measure_agreement(
    prompt: Prompt, cases: Sequence[Case], before: Side, after: Side, pool: Pool, max_tokens: int = 32
) -> Agreement:
    """Answer every case on both sides, greedily. Raises EngineError when one of them cannot answer."""
    sides = {"before": before, "after": after}
    sampling = Sampling(max_tokens=max_tokens)
    variants = [Variant(name, "", name, sampling, adapters=(AdapterChoice(name),)) for name in sides]
    sources = Sources(
        lambda _: prompt, lambda name: sides[name].model, lambda choices: sides[choices[0].adapter].adapters
    )
    answers: dict[tuple[str, int], str] = {}
    for event in compare(Bench(tuple(variants), scorers=()), cases, pool, sources):
        if isinstance(event, CellFinished):
            cell = event.cell
            if cell.error:
                raise EngineError(f"{sides[cell.variant].model.name} could not answer: {cell.error}", cell.hint)
            answers[cell.variant, cell.case] = cell.completion.text
    pairs = [(case.number, answers["before", case.number], answers["after", case.number]) for case in cases]
    return Agreement(len(pairs), tuple(Difference(*pair) for pair in pairs if pair[1] != pair[2]))
