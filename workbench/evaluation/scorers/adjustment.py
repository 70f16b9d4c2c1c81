"""Adjustment: what any scorer can be told beside its own options, and the scorer that does as it was told.

Knows nothing of how the scorer inside judges.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import msgspec

from workbench.errors import ScorerError
from workbench.evaluation.datasets import Case
from workbench.evaluation.permissions import Permissions
from workbench.evaluation.scorers.extraction import Extract, Step, extract_text, make_steps
from workbench.evaluation.scorers.question import Question
from workbench.evaluation.scorers.scorer import Evidence, Judged, Judging, Scale, Score, Scorer, Sums

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
        if self.adjustment.extract is not None and not self.inner.needs_answer:
            raise ScorerError("it never looks at the answer; leave out extract")

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
    def permissions(self) -> Permissions:
        return self.inner.permissions

    @property
    def signature(self) -> str:
        return self.inner.signature

    def locate(self, folder: Path) -> Self:
        return msgspec.structs.replace(self, inner=self.inner.locate(folder))

    def label_key(self, text: str) -> str | None:
        turned = self.adjustment.negate or self.adjustment.extract_expected is not None
        return None if turned else self.inner.label_key(text)

    def questions(self, text: str, case: Case) -> tuple[Question, ...]:
        try:
            found, _ = extract_text(self._steps(), text)
            return self.inner.questions(found or "", self._case(case)[0])
        except TimeoutError:
            return ()

    def judge(self, evidence: Evidence) -> Score:
        try:
            found, problem = extract_text(self._steps(), evidence.text)
            case, lacking = self._case(evidence.case)
        except TimeoutError as error:
            return Score(self.name, 0.0, "", str(error), applies=False, unscored="error")
        if lacking:
            return Score(self.name, 0.0, "", lacking, applies=False)
        score = self.inner.judge(msgspec.structs.replace(evidence, text=found or "", case=case))
        if not score.applies:
            return msgspec.structs.replace(score, scorer=self.name)
        if found is None and self.inner.scale != "free":
            return self._fail(problem)
        return self._turn(self._pass(score), problem)

    def summarize(self, judged: Sequence[Judged]) -> dict[str, float]:
        return self.inner.summarize(self._see(judged))

    def sums(self, judged: Sequence[Judged]) -> dict[str, Sums]:
        return self.inner.sums(self._see(judged))

    def sign(self, judged: Sequence[Judged]) -> str:
        return self.inner.sign(self._see(judged))

    def _see(self, judged: Sequence[Judged]) -> list[Judged]:
        """The answers as the inner scorer has them before it; empty where the extraction takes too long."""
        seen = []
        for one in judged:
            text, case = "", Case(0, {}, one.expected, also=one.also)
            with contextlib.suppress(TimeoutError):
                text, case = extract_text(self._steps(), one.text)[0] or "", self._case(case)[0]
            seen.append(msgspec.structs.replace(one, text=text, expected=case.expected, also=case.also))
        return seen

    def _fail(self, problem: str) -> Score:
        """The worst value: what should be judged is not in the answer, which is right by no reading, turned or not."""
        worst = _TOP[self.scale] if self.lower_is_better else 0.0
        return Score(self.name, worst, "", problem)

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

    def _case(self, case: Case) -> tuple[Case, str]:
        """The case as the inner scorer has it before it, and what its expected answers lack, "" for nothing."""
        if self.adjustment.extract_expected is None or case.expected is None:
            return case, ""
        steps = make_steps(self.adjustment.extract_expected)
        found = [extract_text(steps, answer, "expected answer") for answer in (case.expected, *case.also)]
        answers = [text for text, _ in found if text is not None]
        if not answers:
            return msgspec.structs.replace(case, expected=None, also=()), found[0][1]
        return msgspec.structs.replace(case, expected=answers[0], also=tuple(answers[1:])), ""

    def _steps(self) -> tuple[Step, ...]:
        return make_steps(self.adjustment.extract)
