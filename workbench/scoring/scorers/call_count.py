"""Call count: how many tool calls, or rounds of them, it took to answer."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from workbench.scoring.registry import option, register
from workbench.scoring.scorer import Score, Scorer, ScorerSpec, ScoringInput


@register(
    "call_count",
    group="tools",
    help="How many tool calls an answer took; fewer is better",
    notes="A round is one answer of the model, with as many calls as it makes at once; the last one has none.",
    example="call_count: {of: rounds}",
)
class CallCount(Scorer, frozen=True, kw_only=True):
    spec: ClassVar[ScorerSpec] = ScorerSpec(lower_is_better=True, scale="free", whole=True)
    name: str = "call_count"
    of: Annotated[Literal["calls", "rounds"], option("What is counted")] = "calls"

    def score(self, text: str, case: Any) -> Score:
        return self.score_input(ScoringInput(text, case))

    def score_input(self, scoring_input: ScoringInput) -> Score:
        trace = scoring_input.trace
        if trace is None:
            return Score(self.name, 0.0, "", "The prompt of this variant has no tools.", applies=False, scale="free")
        count = len(trace.calls) if self.of == "calls" else trace.rounds
        cut = "; the rounds were used up" if trace.limited else ""
        return Score(self.name, float(count), str(count), f"{count} {self.of}{cut}.", scale="free")
