"""Judge: models rate the answer by a rubric."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from workbench.datasets import Case
from workbench.errors import ScorerError
from workbench.inference.types import Sampling
from workbench.scoring.grader_request import GraderRequest
from workbench.scoring.judge_panel import (
    JUDGE_SAMPLING,
    JudgePanel,
    JudgeVerdict,
    compute_agreement,
    describe_input,
    make_panel,
    open_judge_prompt,
    read_verdict,
    why_unscored,
)
from workbench.scoring.registry import option, register
from workbench.scoring.scorer import Score, ScoredSample, Scorer, ScoringInput, truncate

_VARIABLES = ("input", "answer", "expected", "rubric", "scale", "form")
_KEY = "score"
NEEDS_MODEL = "This needs a model's judgement; `workbench eval` asks for it."


@register(
    "judge",
    group="judge",
    help="One or several models rate the answer by a rubric; replies are constrained to a JSON schema",
    example="judge: {model: my-judge, rubric: Is the answer polite?, points: 5}",
)
class JudgeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    model: Annotated[
        str | tuple[str, ...],
        option("A model, or a list whose mean counts; the dataset gets their agreement (Krippendorff's alpha)"),
    ]
    rubric: Annotated[str, option("What to look at")]
    name: str = "judge"
    points: Annotated[
        int | tuple[int, int] | None,
        option("Points from 1 to N, or [from, to]; 5 unless `labels` are given"),
    ] = None
    labels: Annotated[
        tuple[str, ...] | dict[str, float],
        option("Labels instead of points, from worst to best, or each with its value from 0 to 1"),
    ] = ()
    prompt: Annotated[
        str,
        option(
            "Prompt file to use instead of the shipped `judge/rubric`; it may use input, answer, expected, rubric,"
            " scale and form"
        ),
    ] = "judge/rubric"
    show_expected: Annotated[bool, option("Show the expected answer to the judge")] = True
    reason: Annotated[bool, option("Let the judge give its reason before the rating")] = True
    sampling: Annotated[Sampling, option("Sampling settings, as in a variant")] = JUDGE_SAMPLING
    constrain: Annotated[bool, option("Constrain the reply to the JSON schema")] = True

    def __post_init__(self) -> None:
        self._rate()
        if self.points is not None and self.labels:
            raise ScorerError("expected either points or labels")
        if not self.rubric.strip():
            raise ScorerError("rubric is empty; say what the judge should look at")
        make_panel(self.model, self.prompt, self.sampling, self.reason, self.constrain)

    def build(self, folder: Path) -> RubricJudge:
        panel = make_panel(self.model, self.prompt, self.sampling, self.reason, self.constrain)
        prompt = open_judge_prompt(self.prompt, folder, _VARIABLES)
        return RubricJudge(
            name=self.name,
            panel=msgspec.structs.replace(panel, prompt=prompt),
            rubric=self.rubric,
            rates=tuple(self._rate().items()),
            numeric=not self.labels,
            show_expected=self.show_expected,
        )

    def _rate(self) -> dict[Any, float]:
        """What each rating is worth from 0 to 1. Raises ScorerError."""
        if isinstance(self.labels, dict):
            if len(self.labels) < 2 or not all(0 <= value <= 1 for value in self.labels.values()):
                raise ScorerError("labels: expected at least two, each with a value from 0 to 1")
            return dict(self.labels)
        points = 5 if self.points is None else self.points
        low, high = points if isinstance(points, tuple) else (1, points)
        if self.labels == () and not low < high <= low + 100:
            raise ScorerError(f"points: expected a range such as 5 or [1, 10], found {low} to {high}")
        ratings: Sequence[Any] = self.labels or range(low, high + 1)
        if len(set(ratings)) < max(len(ratings), 2):
            raise ScorerError("labels: expected at least two, all different")
        return {rating: index / (len(ratings) - 1) for index, rating in enumerate(ratings)}


class RubricJudge(Scorer, frozen=True, kw_only=True):
    """A judge with its prompt opened. rates: what each rating is worth, worst to best for points."""

    panel: JudgePanel
    rubric: str
    rates: tuple[tuple[Any, float], ...]
    numeric: bool
    show_expected: bool

    @property
    def choices(self) -> tuple[Any, ...]:
        return tuple(rating for rating, _ in self.rates)

    def grader_requests(self, text: str, case: Case) -> tuple[GraderRequest, ...]:
        values = {
            "input": describe_input(case),
            "answer": text,
            "expected": (case.expected or "") if self.show_expected else "",
            "rubric": self.rubric,
            "scale": self._describe_scale(),
        }
        return self.panel.ask(values, _KEY, self.choices)

    def score_input(self, scoring_input: ScoringInput) -> Score:
        if not scoring_input.replies:
            return Score(self.name, 0.0, truncate(scoring_input.text.strip()), NEEDS_MODEL, applies=False)
        verdicts = [read_verdict(reply, _KEY, self.choices) for reply in scoring_input.replies]
        rates = dict(self.rates)
        by_model = dict(zip(self.panel.models, verdicts, strict=True))
        parts = {model: rates[each.choice] for model, each in by_model.items() if each.choice is not None}
        lines = [self._describe(model, verdict) for model, verdict in by_model.items()]
        if not parts:
            unread = why_unscored(scoring_input.replies)
            return Score(
                self.name, 0.0, truncate(scoring_input.text.strip()), "\n".join(lines), applies=False, unscored=unread
            )
        value = sum(parts.values()) / len(parts)
        return Score(self.name, value, truncate(scoring_input.text.strip()), "\n".join(lines), parts=parts)

    def summarize(self, samples: Sequence[ScoredSample]) -> dict[str, float]:
        return summarize_panel([one.score.parts for one in samples], self.panel.models)

    def _describe(self, model: str, verdict: JudgeVerdict) -> str:
        if verdict.choice is None:
            return f"{model} gave no rating: {verdict.reason}"
        rating = f"{verdict.choice} of {self.choices[-1]}" if self.numeric else f"{verdict.choice}"
        return f"{model}: {rating}. {verdict.reason}".strip()

    def _describe_scale(self) -> str:
        if self.numeric:
            return f"a whole number from {self.choices[0]} (worst) to {self.choices[-1]} (best)"
        return "one of: " + ", ".join(map(str, self.choices))


def summarize_panel(ratings: Sequence[dict[str, float]], models: Sequence[str]) -> dict[str, float]:
    """The mean of each judge and their agreement; nothing for a judge alone."""
    if len(models) < 2:
        return {}
    means = {}
    for model in models:
        own = [case[model] for case in ratings if model in case]
        if own:
            means[f"mean[{model}]"] = sum(own) / len(own)
    return {**compute_agreement(ratings, models), **means}
