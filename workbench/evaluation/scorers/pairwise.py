"""Pairwise: models say whether the answer is better than another one, asked twice with the two swapped.

Knows nothing of how a model is asked (see jury.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from workbench.engines.engine import Sampling
from workbench.errors import ScorerError
from workbench.evaluation.datasets import Case
from workbench.evaluation.scorers.judge import NOT_ASKED, summarize_jury
from workbench.evaluation.scorers.jury import (
    SAMPLING,
    Jury,
    Verdict,
    describe_input,
    find_unread,
    open_judge_prompt,
    read_verdict,
    seat,
)
from workbench.evaluation.scorers.normalization import is_blank
from workbench.evaluation.scorers.question import Question
from workbench.evaluation.scorers.scorer import Evidence, Judged, Judging, Score, begin

_VARIABLES = ("input", "a", "b", "rubric", "form")
_KEY = "better"
_CHOICES = ("A", "B", "tie")
_WORTH = {"first": {"A": 1.0, "B": 0.0, "tie": 0.5}, "second": {"A": 0.0, "B": 1.0, "tie": 0.5}}


class Pairwise(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """a model, or several, say whether the answer is better than another: 1 better, 0 worse, 0.5 a tie, or a judge
    that changes its mind when the two are swapped

    model: one, or a list of several, whose mean counts; the dataset gets their agreement (Krippendorff's alpha).
    against: `expected`, or a column of the case that holds the other answer.
    prompt: a prompt file to use instead of the shipped `judge/pairwise`; it may use input, a, b, rubric and
        form.
    reason: let it say why before it decides. sampling: as in a variant. constrain: hold the reply to the schema.
    """

    model: str | tuple[str, ...]
    rubric: str = "Which answer is better?"
    name: str = "pairwise"
    against: str = "expected"
    prompt: str = "judge/pairwise"
    reason: bool = True
    sampling: Sampling = SAMPLING
    constrain: bool = True

    def __post_init__(self) -> None:
        if not self.rubric.strip():
            raise ScorerError("rubric is empty; say what makes an answer better")
        seat(self.model, self.prompt, self.sampling, self.reason, self.constrain)

    def locate(self, folder: Path) -> PairwiseJudge:
        jury = seat(self.model, self.prompt, self.sampling, self.reason, self.constrain)
        prompt = open_judge_prompt(self.prompt, folder, _VARIABLES)
        jury = msgspec.structs.replace(jury, prompt=prompt)
        return PairwiseJudge(name=self.name, jury=jury, rubric=self.rubric, against=self.against)


class PairwiseJudge(Judging, frozen=True, kw_only=True):
    """A pairwise judge with its prompt opened. Each model is asked with the answer first, then second."""

    name: str
    jury: Jury
    rubric: str
    against: str

    def score(self, text: str, case: Case) -> Score:
        return self.judge(Evidence(text, case))

    def questions(self, text: str, case: Case) -> tuple[Question, ...]:
        other = self._find_other(case)
        if other is None:
            return ()
        values = {"input": self._describe_input(case), "rubric": self.rubric}
        first = self.jury.ask({**values, "a": text, "b": other}, _KEY, _CHOICES)
        second = self.jury.ask({**values, "a": other, "b": text}, _KEY, _CHOICES)
        return (*first, *second)

    def judge(self, evidence: Evidence) -> Score:
        text = begin(evidence.text.strip())
        if self._find_other(evidence.case) is None:
            lacking = "expected answer" if self.against == "expected" else f"column {self.against}"
            told = f"This case has no {lacking} to compare with, or an empty one."
            return Score(self.name, 0.0, text, told, applies=False)
        if not evidence.replies:
            return Score(self.name, 0.0, text, NOT_ASKED, applies=False)
        verdicts = [read_verdict(reply, _KEY, _CHOICES) for reply in evidence.replies]
        count = len(self.jury.models)
        parts: dict[str, float] = {}
        lines: list[str] = []
        for model, first, second in zip(self.jury.models, verdicts[:count], verdicts[count:], strict=True):
            lines += _compare(model, first, second, parts)
        values = [parts[model] for model in self.jury.models if model in parts]
        if not values:
            unread = find_unread(evidence.replies)
            return Score(self.name, 0.0, text, "\n".join(lines), applies=False, parts=parts, unscored=unread)
        return Score(self.name, sum(values) / len(values), text, "\n".join(lines), parts=parts)

    def summarize(self, judged: Sequence[Judged]) -> dict[str, float]:
        """`same_in_both_orders`: the share of comparisons that swapping did not change; `first_preferred`: how often
        the answer shown first won, 0.5 for a judge that order does not sway."""
        pairs = [
            (parts[f"{model}, first"], parts[f"{model}, second"])
            for parts in (one.score.parts for one in judged)
            for model in self.jury.models
            if model in parts
        ]
        if not pairs:
            return {}
        swayed = sum(first + (1 - second) for first, second in pairs) / (2 * len(pairs))
        same = sum(first == second for first, second in pairs) / len(pairs)
        means = summarize_jury([one.score.parts for one in judged], self.jury.models)
        return {"same_in_both_orders": same, "first_preferred": swayed, **means}

    def _find_other(self, case: Case) -> str | None:
        other = case.expected if self.against == "expected" else case.variables.get(self.against)
        return None if is_blank(other) else other

    def _describe_input(self, case: Case) -> str:
        """The case without the answer it is compared with."""
        kept = {name: value for name, value in case.variables.items() if name != self.against}
        return describe_input(msgspec.structs.replace(case, variables=kept))


def _compare(model: str, first: Verdict, second: Verdict, parts: dict[str, float]) -> list[str]:
    """What one judge said in both orders, in lines; its values go into the parts."""
    told = []
    for place, verdict in (("first", first), ("second", second)):
        if verdict.choice is None:
            told.append(f"  shown {place}: {verdict.reason}")
            continue
        parts[f"{model}, {place}"] = _WORTH[place][verdict.choice]
        told.append(f"  shown {place}: {verdict.choice}. {verdict.reason}".rstrip())
    values = [parts.get(f"{model}, {place}") for place in ("first", "second")]
    if values[0] is None or values[1] is None:
        return [f"{model} could not be read in both orders.", *told]
    parts[model] = (values[0] + values[1]) / 2
    if values[0] != values[1]:
        return [f"{model} changes its mind when the two are swapped.", *told]
    opinion = {1.0: "better", 0.0: "worse", 0.5: "a tie"}[values[0]]
    return [f"{model}: {opinion}, in both orders.", *told]
