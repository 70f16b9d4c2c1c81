"""Latency, length and cost of an answer, whatever it says."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from workbench.scoring.registry import option, register
from workbench.scoring.scorer import Score, Scorer, ScorerSpec, ScoringInput
from workbench.scoring.text.words import count_words

_NO_COMPLETION = "How the answer came about is not known here; `workbench eval` measures it."


class _UsageScorer(Scorer, frozen=True, kw_only=True):
    def score_input(self, scoring_input: ScoringInput) -> Score:
        raise NotImplementedError


@register(
    "latency",
    group="usage",
    help="Seconds to the end of the answer, or to its first token; cached answers are not counted",
    example="latency: {until: first_token}",
)
class Latency(_UsageScorer, frozen=True, kw_only=True):
    spec: ClassVar[ScorerSpec] = ScorerSpec(scale="free", lower_is_better=True, whole=True)
    name: str = "latency"
    until: Annotated[Literal["end", "first_token"], option("Where the clock stops")] = "end"

    def score_input(self, scoring_input: ScoringInput) -> Score:
        done = scoring_input.completion
        if done is None:
            return Score(self.name, 0.0, "", _NO_COMPLETION, applies=False)
        if scoring_input.cached:
            return Score(self.name, 0.0, "", "A cached answer has no latency.", applies=False)
        seconds = done.elapsed_seconds if self.until == "end" else done.seconds_to_first_token
        explanation = f"{done.seconds_to_first_token:.3f} s to the first token, {done.elapsed_seconds:.3f} s in all."
        return Score(self.name, seconds, "", explanation)


@register(
    "output_length",
    group="usage",
    help="Length of the answer; shorter counts as better",
    example="output_length: {unit: words}",
)
class OutputLength(_UsageScorer, frozen=True, kw_only=True):
    spec: ClassVar[ScorerSpec] = ScorerSpec(scale="free", lower_is_better=True, whole=True)
    name: str = "output_length"
    unit: Annotated[
        Literal["tokens", "words", "characters"],
        option("What is counted; tokens are the model's own"),
    ] = "tokens"

    def score_input(self, scoring_input: ScoringInput) -> Score:
        if self.unit == "tokens" and scoring_input.completion is None:
            return Score(self.name, 0.0, "", _NO_COMPLETION, applies=False)
        tokens = scoring_input.completion.output_tokens if scoring_input.completion else 0
        counts = {"tokens": tokens, "words": count_words(scoring_input.text), "characters": len(scoring_input.text)}
        return Score(self.name, float(counts[self.unit]), "", f"{counts[self.unit]} {self.unit}.")


@register(
    "cost",
    group="usage",
    help="Cost of the answer by the bench's price table",
    example="cost",
)
class Cost(_UsageScorer, frozen=True, kw_only=True):
    spec: ClassVar[ScorerSpec] = ScorerSpec(scale="free", lower_is_better=True, whole=True)
    name: str = "cost"

    def score_input(self, scoring_input: ScoringInput) -> Score:
        if scoring_input.cost is None:
            return Score(self.name, 0.0, "", "No price is known for this model.", applies=False)
        return Score(self.name, scoring_input.cost, "", f"{scoring_input.cost:.6g} by the price table.")
