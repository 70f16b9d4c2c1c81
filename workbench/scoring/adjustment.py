"""Adjustment: options of every scorer: extraction, threshold, negation, weight; and the scorer that applies them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Annotated

import msgspec

from workbench.datasets import Case
from workbench.errors import ScorerError
from workbench.scoring.grader_request import GraderRequest
from workbench.scoring.permissions import Permissions
from workbench.scoring.registry import option
from workbench.scoring.scorer import CorpusSums, Scale, Score, ScoredSample, Scorer, ScoringInput
from workbench.scoring.text.extraction import Extract, Step, extract_text, make_steps

_TOP = {"unit": 1.0, "percent": 100.0}


class Adjustment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options that every scorer takes beside its own."""

    step: Annotated[str, option("Score the answer of this step of a chain instead of the chain's answer")] = ""
    expected_column: Annotated[str, option("Compare with this column instead of the expected answer")] = ""
    extract: Annotated[Extract | None, option("Score only this part of the answer")] = None
    extract_expected: Annotated[Extract | None, option("Compare with only this part of the expected answer")] = None
    threshold: Annotated[
        float | None,
        option("1 for a value that reaches it (or does not exceed it, where lower is better), else 0"),
    ] = None
    negate: Annotated[bool, option("Invert the value")] = False
    weight: Annotated[float, option("Weight among the parts of `combined`", gt=0)] = 1.0

    def __post_init__(self) -> None:
        make_steps(self.extract)
        make_steps(self.extract_expected)


class Adjusted(Scorer, frozen=True, kw_only=True):
    """A scorer whose input and value are adjusted."""

    inner: Scorer
    adjustment: Adjustment

    def __post_init__(self) -> None:
        if self.adjustment.negate and self.inner.scale == "free" and self.adjustment.threshold is None:
            raise ScorerError("its values have no upper bound; set a threshold to negate it")
        if self.adjustment.extract is not None and not self.inner.needs_answer:
            raise ScorerError("it does not look at the answer; leave out extract")

    @property
    def step(self) -> str:
        return self.adjustment.step

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
    def whole(self) -> bool:
        return self.inner.whole

    @property
    def time_limit_seconds(self) -> float:
        return self.inner.time_limit_seconds

    @property
    def permissions(self) -> Permissions:
        return self.inner.permissions

    @property
    def signature(self) -> str:
        return self.inner.signature

    def label_key(self, text: str) -> str | None:
        other = self.adjustment.negate or self.adjustment.extract_expected is not None or self._scores_other
        return None if other else self.inner.label_key(text)

    def grader_requests(self, text: str, case: Case) -> tuple[GraderRequest, ...]:
        try:
            found, _ = extract_text(self._steps(), text)
            return self.inner.grader_requests(found or "", self._case(case)[0])
        except TimeoutError:
            return ()

    def score_input(self, scoring_input: ScoringInput) -> Score:
        try:
            found, problem = extract_text(self._steps(), scoring_input.text)
            case, lacking = self._case(scoring_input.case)
        except TimeoutError as error:
            return Score(self.name, 0.0, "", str(error), applies=False, unscored="error")
        if lacking:
            return Score(self.name, 0.0, "", lacking, applies=False)
        score = self.inner.score_input(msgspec.structs.replace(scoring_input, text=found or "", case=case))
        if not score.applies:
            return msgspec.structs.replace(score, scorer=self.name)
        if found is None and self.inner.scale != "free":
            return self._fail(problem)
        return self._invert(self._pass(score), problem)

    @property
    def _scores_other(self) -> bool:
        """Whether it compares something else than the cell's answer with the case's expected one."""
        return bool(self.adjustment.step or self.adjustment.expected_column)

    def summarize(self, samples: Sequence[ScoredSample]) -> dict[str, float]:
        return {} if self._scores_other else self.inner.summarize(self._extract_all(samples))

    def corpus_sums(self, samples: Sequence[ScoredSample]) -> dict[str, CorpusSums]:
        return {} if self._scores_other else self.inner.corpus_sums(self._extract_all(samples))

    def corpus_signature(self, samples: Sequence[ScoredSample]) -> str:
        return "" if self._scores_other else self.inner.corpus_signature(self._extract_all(samples))

    def _extract_all(self, samples: Sequence[ScoredSample]) -> list[ScoredSample]:
        """The answers as the inner scorer has them before it; empty where the extraction takes too long."""
        seen = []
        for one in samples:
            text, case = "", Case(0, {}, one.expected, also=one.also)
            with contextlib.suppress(TimeoutError):
                text, case = extract_text(self._steps(), one.text)[0] or "", self._case(case)[0]
            seen.append(msgspec.structs.replace(one, text=text, expected=case.expected, also=case.also))
        return seen

    def _fail(self, problem: str) -> Score:
        """The worst value: what should be scored is not in the answer, which is wrong whether inverted or not."""
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

    def _invert(self, score: Score, problem: str) -> Score:
        value, explanation = score.value, score.explanation
        if self.adjustment.negate:
            value, explanation = _TOP[self.scale] - value, f"Inverted: {explanation}"
        if problem and problem not in explanation:
            explanation = f"{problem} {explanation}"
        return msgspec.structs.replace(score, scorer=self.name, value=value, explanation=explanation)

    def _case(self, case: Case) -> tuple[Case, str]:
        """The case as the inner scorer has it before it, and what its expected answers lack, "" for nothing."""
        if column := self.adjustment.expected_column:
            if column not in case.variables:
                return case, f"The case has no column {column}; it has {', '.join(case.variables) or 'none'}."
            case = msgspec.structs.replace(case, expected=case.variables[column], also=())
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
