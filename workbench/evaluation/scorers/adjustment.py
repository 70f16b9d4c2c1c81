"""Adjustment: what any scorer can be told beside its own options, and the scorer that does as it was told.

Knows nothing of how the scorer inside judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import msgspec

from workbench.errors import ScorerError
from workbench.evaluation.datasets import Case
from workbench.evaluation.scorers.extraction import Extract, Step, extract_text, make_steps
from workbench.evaluation.scorers.question import Question
from workbench.evaluation.scorers.scorer import Evidence, Judged, Judging, Scale, Score, Scorer

_TOP = {"unit": 1.0, "percent": 100.0}


class Adjustment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of every scorer.

    extract: judge only this part of the answer. extract_expected: and this part of the expected answer.
    threshold: 1 for a value that reaches it (or stays within it, where lower is better), else 0.
    negate: turn the value round. weight: what it counts among the parts of `combined`.
    """

    extract: Extract | None = None
    extract_expected: Extract | None = None
    threshold: float | None = None
    negate: bool = False
    weight: float = 1.0

    def __post_init__(self) -> None:
        make_steps(self.extract)
        make_steps(self.extract_expected)
        if not self.weight > 0:
            raise ScorerError(f"weight is {self.weight:g}; it must be more than 0")


class Adjusted(Judging, frozen=True, kw_only=True):
    """A scorer with an adjustment laid around it. label: its name, "" for the inner one's."""

    inner: Scorer
    adjustment: Adjustment
    label: str = ""

    def __post_init__(self) -> None:
        if self.adjustment.negate and self.inner.scale == "free" and self.adjustment.threshold is None:
            raise ScorerError("its values have no upper end; give a threshold to negate it")

    @property
    def name(self) -> str:
        return self.label or self.inner.name

    @property
    def heavy(self) -> bool:
        return self.inner.heavy

    @property
    def binary(self) -> bool:
        return self.inner.binary or self.adjustment.threshold is not None

    @property
    def lower_is_better(self) -> bool:
        return self.inner.lower_is_better and self.adjustment.threshold is None and not self.adjustment.negate

    @property
    def scale(self) -> Scale:
        return "unit" if self.adjustment.threshold is not None else self.inner.scale

    @property
    def needs_answer(self) -> bool:
        return self.inner.needs_answer

    @property
    def time_limit_seconds(self) -> float:
        return self.inner.time_limit_seconds

    @property
    def signature(self) -> str:
        return self.inner.signature

    def locate(self, folder: Path) -> Self:
        return msgspec.structs.replace(self, inner=self.inner.locate(folder))

    def questions(self, text: str, case: Case) -> tuple[Question, ...]:
        found, _ = extract_text(self._steps(), text)
        return self.inner.questions(found or "", self._case(case))

    def judge(self, evidence: Evidence) -> Score:
        found, problem = extract_text(self._steps(), evidence.text)
        if found is None and self.inner.scale != "free":
            score = Score(self.inner.name, 0.0, "", problem)
        else:
            case = self._case(evidence.case)
            score = self.inner.judge(msgspec.structs.replace(evidence, text=found or "", case=case))
        if not score.applies:
            return msgspec.structs.replace(score, scorer=self.name)
        return self._turn(self._pass(score), problem)

    def summarize(self, judged: Sequence[Judged]) -> dict[str, float]:
        return self.inner.summarize(self._see(judged))

    def bound(self, judged: Sequence[Judged]) -> dict[str, tuple[float, float]]:
        bound = getattr(self.inner, "bound", None)
        return bound(self._see(judged)) if bound else {}

    def _see(self, judged: Sequence[Judged]) -> list[Judged]:
        """The answers as the inner scorer has them before it."""
        return [
            msgspec.structs.replace(
                one,
                text=extract_text(self._steps(), one.text)[0] or "",
                expected=self._expect(one.expected),
                also=self._expect_also(one.also),
            )
            for one in judged
        ]

    def _pass(self, score: Score) -> Score:
        limit = self.adjustment.threshold
        if limit is None:
            return score
        lower = self.inner.lower_is_better
        passed = score.value <= limit if lower else score.value >= limit
        verdict = f"{score.value:.4g} is {'within' if lower else 'at least'} {limit:g}"
        if not passed:
            verdict = f"{score.value:.4g} is {'more' if lower else 'less'} than {limit:g}"
        return msgspec.structs.replace(
            score,
            value=float(passed),
            explanation=f"{verdict}: {score.explanation}",
            parts={**score.parts, "value": score.value},
        )

    def _turn(self, score: Score, problem: str) -> Score:
        value, explanation = score.value, score.explanation
        if self.adjustment.negate:
            value, explanation = _TOP[self.scale] - value, f"Turned round: {explanation}"
        if problem and problem not in explanation:
            explanation = f"{problem} {explanation}"
        return msgspec.structs.replace(score, scorer=self.name, value=value, explanation=explanation)

    def _case(self, case: Case) -> Case:
        return msgspec.structs.replace(case, expected=self._expect(case.expected), also=self._expect_also(case.also))

    def _expect_also(self, answers: Sequence[str]) -> tuple[str, ...]:
        return tuple(answer for answer in map(self._expect, answers) if answer is not None)

    def _expect(self, expected: str | None) -> str | None:
        if expected is None or self.adjustment.extract_expected is None:
            return expected
        found, _ = extract_text(make_steps(self.adjustment.extract_expected), expected)
        return found

    def _steps(self) -> tuple[Step, ...]:
        return make_steps(self.adjustment.extract)
