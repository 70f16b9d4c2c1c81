"""Evidence: what a verdict is made of: a run on the test split, who stands for what in it, where the adapter is from.

Knows nothing of what follows from it (conclusion.py, recommendation.py).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from workbench.evaluation.cost import Price
from workbench.evaluation.summary import PairSummary, Summary, VariantSummary
from workbench.evaluation.view import Metric
from workbench.training.manifest import Manifest
from workbench.training.verdict import Arm, CurvePair, CurvePoint, TrainingCost


class Evidence(msgspec.Struct, frozen=True):
    """What a verdict is made of. variants: arm -> the variant that stands for it, which may stand for several.

    shown: variant -> its prompt, model and adapter. tried: how many prompts the best one was chosen from.
    """

    summary: Summary
    variants: Mapping[Arm, str]
    shown: Mapping[str, tuple[str, str, str]]
    manifest: Manifest
    dataset: str = ""
    chosen_on: str = ""
    tried: int = 1
    price: Price | None = None
    curve: tuple[CurvePoint, ...] = ()
    curve_pairs: tuple[CurvePair, ...] = ()
    created: float = 0.0

    @property
    def rivals(self) -> tuple[Arm, Arm]:
        """What would be used without the adapter, and the adapter with the short prompt."""
        return ("best prompt" if "best prompt" in self.variants else "zero-shot"), "adapter"

    def of(self, arm: Arm) -> VariantSummary:
        """The figures of the variant that stands for an arm."""
        return self.summary.variant(self.variants[arm])

    def pair(self, metric: Metric, a: Arm, b: Arm) -> PairSummary | None:
        """How the variant of b stands against that of a; None where one stands for both."""
        if a not in self.variants or b not in self.variants:
            return None
        left, right = self.variants[a], self.variants[b]
        return self.summary.pair(left, right, metric.name) if left != right else None

    @property
    def training(self) -> TrainingCost:
        """What the adapter took."""
        made = self.manifest
        rows = sum(trace.rows for trace in made.data if trace.role != "validation")
        hour = self.price.hour if self.price else 0.0
        return TrainingCost(made.name, made.seconds, made.tokens, rows, made.seconds / 3600 * hour if hour else None)


def count_tokens(one: VariantSummary) -> float:
    """Tokens of a request, read and written."""
    return one.tokens_in + one.tokens_out
