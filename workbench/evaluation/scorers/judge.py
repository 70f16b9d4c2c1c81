"""Judge: models rate the answer by a rubric.

Knows nothing of how a model is asked (see jury.py) or of comparing two answers (see pairwise.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from workbench.engines.engine import Sampling
from workbench.errors import ScorerError
from workbench.evaluation.datasets import Case
from workbench.evaluation.scorers.jury import (
    SAMPLING,
    Jury,
    Verdict,
    compute_agreement,
    describe_input,
    find_unread,
    open_judge_prompt,
    read_verdict,
    seat,
)
from workbench.evaluation.scorers.question import Question
from workbench.evaluation.scorers.scorer import Evidence, Judged, Judging, Score, begin

_VARIABLES = ("input", "answer", "expected", "rubric", "scale", "form")
_KEY = "score"
NOT_ASKED = "This needs a model's judgement; `workbench eval` asks for it."


class Judge(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """a model, or several, rate the answer by a rubric; their replies are held to a JSON schema

    model: one, or a list of several, whose mean counts; the dataset gets their agreement (Krippendorff's alpha).
    points: from 1 to so many, or [from, to]. labels: instead of points; from worst to best, or each with its value
        from 0 to 1.
    prompt: a prompt file to use instead of the shipped `judge/rubric`; it may use input, answer, expected, rubric,
        scale and form. show_expected: let the judge see the expected answer.
    reason: let it say why before it rates. sampling: as in a variant. constrain: hold the reply to the schema.
    """

    model: str | tuple[str, ...]
    rubric: str
    name: str = "judge"
    points: int | tuple[int, int] | None = None
    labels: tuple[str, ...] | dict[str, float] = ()
    prompt: str = "judge/rubric"
    show_expected: bool = True
    reason: bool = True
    sampling: Sampling = SAMPLING
    constrain: bool = True

    def __post_init__(self) -> None:
        self._rate()
        if self.points is not None and self.labels:
            raise ScorerError("expected either points or labels")
        if not self.rubric.strip():
            raise ScorerError("rubric is empty; say what the judge should look at")
        seat(self.model, self.prompt, self.sampling, self.reason, self.constrain)

    def locate(self, folder: Path) -> RubricJudge:
        jury = seat(self.model, self.prompt, self.sampling, self.reason, self.constrain)
        prompt = open_judge_prompt(self.prompt, folder, _VARIABLES)
        return RubricJudge(
            name=self.name,
            jury=msgspec.structs.replace(jury, prompt=prompt),
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
        return {rating: place / (len(ratings) - 1) for place, rating in enumerate(ratings)}


class RubricJudge(Judging, frozen=True, kw_only=True):
    """A judge with its prompt opened. rates: what each rating is worth, worst to best for points."""

    name: str
    jury: Jury
    rubric: str
    rates: tuple[tuple[Any, float], ...]
    numeric: bool
    show_expected: bool

    @property
    def choices(self) -> tuple[Any, ...]:
        return tuple(rating for rating, _ in self.rates)

    def score(self, text: str, case: Case) -> Score:
        return self.judge(Evidence(text, case))

    def questions(self, text: str, case: Case) -> tuple[Question, ...]:
        values = {
            "input": describe_input(case),
            "answer": text,
            "expected": (case.expected or "") if self.show_expected else "",
            "rubric": self.rubric,
            "scale": self._describe_scale(),
        }
        return self.jury.ask(values, _KEY, self.choices)

    def judge(self, evidence: Evidence) -> Score:
        if not evidence.replies:
            return Score(self.name, 0.0, begin(evidence.text.strip()), NOT_ASKED, applies=False)
        verdicts = [read_verdict(reply, _KEY, self.choices) for reply in evidence.replies]
        rates = dict(self.rates)
        said = dict(zip(self.jury.models, verdicts, strict=True))
        parts = {model: rates[each.choice] for model, each in said.items() if each.choice is not None}
        lines = [self._describe(model, verdict) for model, verdict in said.items()]
        if not parts:
            unread = find_unread(evidence.replies)
            return Score(self.name, 0.0, begin(evidence.text.strip()), "\n".join(lines), applies=False, unscored=unread)
        value = sum(parts.values()) / len(parts)
        return Score(self.name, value, begin(evidence.text.strip()), "\n".join(lines), parts=parts)

    def summarize(self, judged: Sequence[Judged]) -> dict[str, float]:
        return summarize_jury([one.score.parts for one in judged], self.jury.models)

    def _describe(self, model: str, verdict: Verdict) -> str:
        if verdict.choice is None:
            return f"{model} gave no rating: {verdict.reason}"
        rating = f"{verdict.choice} of {self.choices[-1]}" if self.numeric else f"{verdict.choice}"
        return f"{model}: {rating}. {verdict.reason}".strip()

    def _describe_scale(self) -> str:
        if self.numeric:
            return f"a whole number from {self.choices[0]} (worst) to {self.choices[-1]} (best)"
        return "one of: " + ", ".join(map(str, self.choices))


def summarize_jury(ratings: Sequence[dict[str, float]], models: Sequence[str]) -> dict[str, float]:
    """The mean of each judge and their agreement; nothing for a judge alone."""
    if len(models) < 2:
        return {}
    means = {}
    for model in models:
        own = [case[model] for case in ratings if model in case]
        if own:
            means[f"mean[{model}]"] = sum(own) / len(own)
    return {**compute_agreement(ratings, models), **means}
