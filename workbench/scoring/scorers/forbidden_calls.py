"""Forbidden calls: whether no tool is called that must not be."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from workbench.scoring.registry import option, register
from workbench.scoring.scorer import Score, Scorer, ScorerSpec, ScoringInput, truncate


@register(
    "forbidden_calls",
    group="tools",
    help="Whether none of the forbidden tools is called",
    notes="A tool that the prompt does not offer is forbidden too.",
    example="forbidden_calls: {tools: [delete_order]}",
)
class ForbiddenCalls(Scorer, frozen=True, kw_only=True):
    spec: ClassVar[ScorerSpec] = ScorerSpec(binary=True)
    name: str = "forbidden_calls"
    tools: Annotated[tuple[str, ...], option("Tools that must not be called")] = ()

    def score(self, text: str, case: Any) -> Score:
        return self.score_input(ScoringInput(text, case))

    def score_input(self, scoring_input: ScoringInput) -> Score:
        trace = scoring_input.trace
        if trace is None:
            return Score(self.name, 0.0, "", "The prompt of this variant has no tools.", applies=False)
        offered = {tool.name for tool in trace.tools}
        wrong = [call for call in trace.calls if call.name in self.tools or call.name not in offered]
        if not wrong:
            return Score(self.name, 1.0, "", "No forbidden tool is called.")
        shown = "; ".join(call.text for call in wrong)
        return Score(self.name, 0.0, truncate(shown), truncate(f"Called: {shown}."))
