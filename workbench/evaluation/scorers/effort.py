"""Latency, length and cost: what an answer took, whatever it says.

Knows nothing of prices (see the bench's price table) or of clocks.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from workbench.evaluation.datasets import Case
from workbench.evaluation.scorers.scorer import Evidence, Judging, Score, Traits
from workbench.evaluation.scorers.tokens import count_words

_NOT_KNOWN = "How the answer came about is not known here; `workbench eval` measures it."


class _Effort(Judging, frozen=True, kw_only=True):
    def score(self, text: str, case: Case) -> Score:
        return self.judge(Evidence(text, case))

    def judge(self, evidence: Evidence) -> Score:
        raise NotImplementedError


class Latency(_Effort, frozen=True, kw_only=True):
    """seconds from the question to the end of the answer, or to its first token; an answer from the cache has none

    until: `end` or `first_token`.
    """

    traits: ClassVar[Traits] = Traits(scale="free", lower_is_better=True)
    name: str = "latency"
    until: Literal["end", "first_token"] = "end"

    def judge(self, evidence: Evidence) -> Score:
        done = evidence.completion
        if done is None:
            return Score(self.name, 0.0, "", _NOT_KNOWN, applies=False)
        if evidence.cached:
            return Score(self.name, 0.0, "", "The answer came from the cache: its time says nothing.", applies=False)
        seconds = done.elapsed_seconds if self.until == "end" else done.seconds_to_first_token
        explanation = f"{done.seconds_to_first_token:.3f} s to the first token, {done.elapsed_seconds:.3f} s in all."
        return Score(self.name, seconds, "", explanation)


class OutputLength(_Effort, frozen=True, kw_only=True):
    """how long the answer is, in tokens, words or characters; shorter counts as better

    unit: `tokens` (as the model counts), `words` or `characters`.
    """

    traits: ClassVar[Traits] = Traits(scale="free", lower_is_better=True)
    name: str = "output_length"
    unit: Literal["tokens", "words", "characters"] = "tokens"

    def judge(self, evidence: Evidence) -> Score:
        if self.unit == "tokens" and evidence.completion is None:
            return Score(self.name, 0.0, "", _NOT_KNOWN, applies=False)
        tokens = evidence.completion.output_tokens if evidence.completion else 0
        counts = {"tokens": tokens, "words": count_words(evidence.text), "characters": len(evidence.text)}
        return Score(self.name, float(counts[self.unit]), "", f"{counts[self.unit]} {self.unit}.")


class Cost(_Effort, frozen=True, kw_only=True):
    """what the answer cost by the bench's price table"""

    traits: ClassVar[Traits] = Traits(scale="free", lower_is_better=True)
    name: str = "cost"

    def judge(self, evidence: Evidence) -> Score:
        if evidence.cost is None:
            return Score(self.name, 0.0, "", "No price is known for this model.", applies=False)
        return Score(self.name, evidence.cost, "", f"{evidence.cost:.6g} by the price table.")
