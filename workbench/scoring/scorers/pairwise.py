"""Pairwise: models say whether the answer is better than another one, in both orders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from workbench.datasets import Case
from workbench.errors import ScorerError
from workbench.inference.types import Sampling
from workbench.scoring.grader_request import GraderReply, GraderRequest, ModelCall
from workbench.scoring.judge_panel import (
    JUDGE_SAMPLING,
    JudgePanel,
    JudgeVerdict,
    describe_input,
    make_panel,
    open_judge_prompt,
    read_verdict,
    why_unscored,
)
from workbench.scoring.registry import option, register
from workbench.scoring.scorer import Score, ScoredSample, Scorer, ScoringInput, truncate
from workbench.scoring.scorers.judge import NEEDS_MODEL, summarize_panel
from workbench.scoring.text.normalization import is_blank

_VARIABLES = ("input", "a", "b", "rubric", "form")
_KEY = "better"
_CHOICES = ("A", "B", "tie")
_WORTH = {"first": {"A": 1.0, "B": 0.0, "tie": 0.5}, "second": {"A": 0.0, "B": 1.0, "tie": 0.5}}


@register(
    "pairwise",
    group="judge",
    help=(
        "One or several models compare the answer with another one, in both orders: 1 better, 0 worse, 0.5 a tie or a"
        " judge that order sways"
    ),
    example="pairwise: {model: [judge-a, judge-b], rubric: Which answer is clearer?}",
)
class PairwiseConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    model: Annotated[
        str | tuple[str, ...],
        option("A model, or a list whose mean counts; the dataset gets their agreement (Krippendorff's alpha)"),
    ]
    rubric: Annotated[str, option("What makes an answer better")] = "Which answer is better?"
    name: str = "pairwise"
    against: Annotated[str, option("`expected`, or the column that holds the other answer")] = "expected"
    prompt: Annotated[
        str,
        option("Prompt file to use instead of the shipped `judge/pairwise`; it may use input, a, b, rubric and form"),
    ] = "judge/pairwise"
    reason: Annotated[bool, option("Let the judge give its reason before the verdict")] = True
    sampling: Annotated[Sampling, option("Sampling settings, as in a variant")] = JUDGE_SAMPLING
    constrain: Annotated[bool, option("Constrain the reply to the JSON schema")] = True

    def __post_init__(self) -> None:
        if not self.rubric.strip():
            raise ScorerError("rubric is empty; say what makes an answer better")
        make_panel(self.model, self.prompt, self.sampling, self.reason, self.constrain)

    def build(self, folder: Path) -> PairwiseJudge:
        panel = make_panel(self.model, self.prompt, self.sampling, self.reason, self.constrain)
        prompt = open_judge_prompt(self.prompt, folder, _VARIABLES)
        panel = msgspec.structs.replace(panel, prompt=prompt)
        return PairwiseJudge(name=self.name, panel=panel, rubric=self.rubric, against=self.against)


class PairwiseJudge(Scorer, frozen=True, kw_only=True):
    """A pairwise judge with its prompt opened, for a scorer's cells as for the matches of a run (analysis/pairwise.py).

    Judges favour a position, often the first (Zheng et al. 2023, "Judging LLM-as-a-Judge"): each model therefore sees
    every two answers in both orders, and a verdict that swapping turns counts as a tie.
    """

    panel: JudgePanel
    rubric: str
    against: str

    def grader_requests(self, text: str, case: Case) -> tuple[GraderRequest, ...]:
        other = self._find_other(case)
        return () if other is None else self.compare(text, other, case)

    def score_input(self, scoring_input: ScoringInput) -> Score:
        text = truncate(scoring_input.text.strip())
        if self._find_other(scoring_input.case) is None:
            lacking = "expected answer" if self.against == "expected" else f"column {self.against}"
            message = f"This case has no {lacking} to compare with, or an empty one."
            return Score(self.name, 0.0, text, message, applies=False)
        if not scoring_input.replies:
            return Score(self.name, 0.0, text, NEEDS_MODEL, applies=False)
        return self.decide(scoring_input.text, scoring_input.replies)

    def compare(self, text: str, other: str, case: Case) -> tuple[ModelCall, ...]:
        """The calls that let each model compare two answers: the first shown as A, then, in the same order, as B."""
        values = {"input": self._describe_input(case), "rubric": self.rubric}
        first = self.panel.ask({**values, "a": text, "b": other}, _KEY, _CHOICES)
        second = self.panel.ask({**values, "a": other, "b": text}, _KEY, _CHOICES)
        return (*first, *second)

    def decide(self, text: str, replies: Sequence[GraderReply]) -> Score:
        """What the replies to `compare` come to: 1 where the first answer is better, 0 where it is worse."""
        extracted = truncate(text.strip())
        verdicts = [read_verdict(reply, _KEY, _CHOICES) for reply in replies]
        count = len(self.panel.models)
        parts: dict[str, float] = {}
        lines: list[str] = []
        for model, first, second in zip(self.panel.models, verdicts[:count], verdicts[count:], strict=True):
            lines += _join_orders(model, first, second, parts)
        values = [parts[model] for model in self.panel.models if model in parts]
        explanation = "\n".join(lines)
        if not values:
            unread = why_unscored(replies)
            return Score(self.name, 0.0, extracted, explanation, applies=False, parts=parts, unscored=unread)
        return Score(self.name, sum(values) / len(values), extracted, explanation, parts=parts)

    def summarize(self, samples: Sequence[ScoredSample]) -> dict[str, float]:
        """`same_in_both_orders`: the share of comparisons that swapping did not change; `first_preferred`: how often
        the answer shown first won, 0.5 for a judge that order does not sway."""
        pairs = [
            (parts[f"{model}, first"], parts[f"{model}, second"])
            for parts in (one.score.parts for one in samples)
            for model in self.panel.models
            if model in parts
        ]
        if not pairs:
            return {}
        swayed = sum(first + (1 - second) for first, second in pairs) / (2 * len(pairs))
        same = sum(first == second for first, second in pairs) / len(pairs)
        means = summarize_panel([one.score.parts for one in samples], self.panel.models)
        return {"same_in_both_orders": same, "first_preferred": swayed, **means}

    def _find_other(self, case: Case) -> str | None:
        other = case.expected if self.against == "expected" else case.variables.get(self.against)
        return None if is_blank(other) else other

    def _describe_input(self, case: Case) -> str:
        """The case without the answer it is compared with."""
        if self.against == "expected":
            return describe_input(case)
        kept = {name: value for name, value in case.variables.items() if name != self.against}
        return describe_input(msgspec.structs.replace(case, variables=kept))


def _join_orders(model: str, first: JudgeVerdict, second: JudgeVerdict, parts: dict[str, float]) -> list[str]:
    """What one judge said in both orders, in lines; its values go into the parts."""
    message = []
    for index, verdict in (("first", first), ("second", second)):
        if verdict.choice is None:
            message.append(f"  shown {index}: {verdict.reason}")
            continue
        parts[f"{model}, {index}"] = _WORTH[index][verdict.choice]
        message.append(f"  shown {index}: {verdict.choice}. {verdict.reason}".rstrip())
    values = [parts.get(f"{model}, {index}") for index in ("first", "second")]
    if values[0] is None or values[1] is None:
        return [f"{model} gave no readable reply in both orders.", *message]
    parts[model] = (values[0] + values[1]) / 2
    if values[0] != values[1]:
        return [f"{model} changes its mind when the two are swapped.", *message]
    opinion = {1.0: "better", 0.0: "worse", 0.5: "a tie"}[values[0]]
    return [f"{model}: {opinion}, in both orders.", *message]
