"""Checks: scorers that a case brings itself, in the dataset's column of checks.

A check is written as a scorer is in a bench, with three options more: `expected`, `metric`, and a weight of 0.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import msgspec

from workbench.datasets import Case
from workbench.errors import ScorerError
from workbench.scoring.adjustment import Adjusted
from workbench.scoring.factory import make_each
from workbench.scoring.grader_request import GraderRequest
from workbench.scoring.registry import option, register, scorer_kinds
from workbench.scoring.scorer import CorpusSums, Score, ScoredSample, Scorer, ScorerSpec, ScoringInput

CHECKS = "checks"
MEAN = "mean"
_OWN = ("expected", "metric", "weight")
_DEEPEST = 4
_PASSED = 1 - 1e-9


class CheckSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Several checks as one. threshold: they pass together when their weighted mean reaches it; None: when all pass."""

    parts: tuple[str | dict[str, Any], ...]
    threshold: float | None = None


class Check(NamedTuple):
    """One check. inner: its scorer, or the checks of a set. expected: what it compares with instead of the case's."""

    name: str
    inner: Scorer | BuiltChecks
    expected: tuple[str, ...] | None
    metric: str
    weight: float


class BuiltChecks(NamedTuple):
    checks: tuple[Check, ...]
    threshold: float | None


class CheckResult(NamedTuple):
    """mark: 0 to 1, more is better. metrics: name -> marks with their weights."""

    passed: bool
    mark: float
    lines: tuple[str, ...]
    metrics: dict[str, list[tuple[float, float]]]
    counted: int
    lacking: int = 0
    unscored: Score | None = None


@register(
    CHECKS,
    group="combined",
    help="1 if all checks pass that the case itself brings, in the dataset's column `checks`",
    notes=(
        "The column holds a JSON list of scorers, written as in a bench: `[{contains: {text: Paris}}, json_valid]`."
        " Each may have an `expected` answer, a `weight` (0: it never fails), and a `metric`, whose mean over"
        " the cases the summary shows. `{parts: [...], threshold: 0.5}` passes when the weighted mean reaches the"
        " threshold. A check that runs code is refused: a dataset cannot be trusted like a bench."
    ),
    example="checks: {how: mean}",
)
class ChecksConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: str = CHECKS
    how: Annotated[Literal["pass", "mean"], option("`pass`: 1 or 0; `mean`: the weighted mean of the checks")] = "pass"

    def build(self, folder: Path) -> Checks:
        return Checks(name=self.name, how=self.how, folder=str(folder))


class Checks(Scorer, frozen=True, kw_only=True):
    """folder: from which files that checks name are looked up first."""

    spec: ClassVar[ScorerSpec] = ScorerSpec(heavy=True)
    how: Literal["pass", "mean"]
    folder: str

    @property
    def binary(self) -> bool:
        return self.how == "pass"

    def grader_requests(self, text: str, case: Case) -> tuple[GraderRequest, ...]:
        try:
            return tuple(_list_requests(self._make(case), text, case))
        except ScorerError:
            return ()

    def score_input(self, scoring_input: ScoringInput) -> Score:
        case = scoring_input.case
        if not case.checks.strip():
            return Score(self.name, 0.0, "", "This case has no checks.", applies=False)
        try:
            built = self._make(case)
        except ScorerError as error:
            message = f"The case's checks cannot be used: {error.message}"
            return Score(self.name, 0.0, "", message, applies=False, unscored="error")
        result = _apply(built, scoring_input, list(scoring_input.replies))
        if broken := result.unscored:
            message = f"The check {broken.scorer} gave no score: {broken.explanation}"
            return Score(self.name, 0.0, "", message, applies=False, details=broken.details, unscored=broken.unscored)
        if not result.counted:
            return Score(self.name, 0.0, "", "\n".join(("No check applies.", *result.lines)), applies=False)
        value = float(result.passed) if self.how == "pass" else result.mark
        left = f"; {result.lacking} do not apply" if result.lacking else ""
        verdict = "Passed" if result.passed else "Failed"
        explanation = "\n".join((f"{verdict}, mean {result.mark:.4g} of {result.counted} checks{left}.", *result.lines))
        metrics = {name: _mean(marks) for name, marks in result.metrics.items() if name != MEAN}
        return Score(self.name, value, "", explanation, parts={**metrics, MEAN: result.mark})

    def corpus_sums(self, samples: Sequence[ScoredSample]) -> dict[str, CorpusSums]:
        import numpy as np

        names = dict.fromkeys(name for one in samples for name in one.score.parts)
        found = {}
        for name in names:
            rows = [(one.score.parts.get(name, 0.0), float(name in one.score.parts)) for one in samples]
            found[name] = CorpusSums(np.array(rows, dtype=np.float64), _divide, (0.0, 1.0))
        return found

    def summarize(self, samples: Sequence[ScoredSample]) -> dict[str, float]:
        return {name: sums.value(sums.rows.sum(axis=0)) for name, sums in self.corpus_sums(samples).items()}

    def _make(self, case: Case) -> BuiltChecks:
        return make_checks(case.checks, self.folder) if case.checks.strip() else BuiltChecks((), None)


def _divide(sums: Any) -> float:
    return float(sums[0] / sums[1]) if sums[1] else 0.0


@lru_cache(maxsize=4096)
def make_checks(text: str, folder: str = "") -> BuiltChecks:
    """The checks that a column's text describes. Raises ScorerError with everything that is wrong with them."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ScorerError(f"expected a JSON list of checks, found {text[:80]!r}") from error
    return _build(value, Path(folder), _DEEPEST)


def _build(value: Any, folder: Path, left: int) -> BuiltChecks:
    if not left:
        raise ScorerError("the sets of checks nest too deeply")
    try:
        found = msgspec.convert({"parts": value} if isinstance(value, list) else value, CheckSet)
    except msgspec.ValidationError as error:
        raise ScorerError(f"expected a list of checks, or `parts` and `threshold`: {error}") from error
    problems: list[str] = []
    checks: list[Check] = []
    for number, entry in enumerate(found.parts, 1):
        try:
            checks.append(_build_one(entry, folder, left))
        except ScorerError as error:
            problems.append(f"check {number}: {error.message}")
    if problems:
        raise ScorerError("; ".join(problems))
    return BuiltChecks(tuple(checks), found.threshold)


def _build_one(entry: str | dict[str, Any], folder: Path, left: int) -> Check:
    name, options = (entry, {}) if isinstance(entry, str) else _only(entry)
    own = {key: options[key] for key in _OWN if key in options}
    rest = {key: value for key, value in options.items() if key not in own}
    weight, metric = own.get("weight", 1.0), own.get("metric", "")
    if not isinstance(weight, (int, float)) or isinstance(weight, bool) or not 0 <= weight < float("inf"):
        raise ScorerError(f"{name}: weight: expected a number from 0, found {weight!r}")
    if not isinstance(metric, str):
        raise ScorerError(f"{name}: metric: expected a name, found {metric!r}")
    if name == CHECKS:
        return Check(name, _build(rest, folder, left - 1), None, metric, float(weight))
    kind = scorer_kinds().get(name)
    if kind is not None and kind.group == "code":
        raise ScorerError(f"{name}: a check cannot run code; list this scorer in the bench")
    scorers, problems = make_each([{name: rest}], folder)
    if problems:
        raise ScorerError("; ".join(problems))
    if scorers[0].scale == "free":
        raise ScorerError(f"{name}: its values have no upper bound; set a threshold")
    return Check(scorers[0].name, scorers[0], _read_expected(name, own.get("expected")), metric, float(weight))


def _only(entry: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if len(entry) != 1:
        raise ScorerError(f"expected one name with its options, found {len(entry)}")
    name, options = next(iter(entry.items()))
    if not isinstance(options or {}, dict):
        raise ScorerError(f"{name}: expected options by name, found {options!r}")
    return name, options or {}


def _read_expected(name: str, value: Any) -> tuple[str, ...] | None:
    listed = value if isinstance(value, list) else [value]
    if value is not None and (not listed or not all(isinstance(one, str) for one in listed)):
        raise ScorerError(f"{name}: expected: expected a text or a list of texts, found {value!r}")
    return None if value is None else tuple(listed)


def _case_of(check: Check, case: Case) -> Case:
    if check.expected is None:
        return case
    return msgspec.structs.replace(case, expected=check.expected[0], also=check.expected[1:])


def _list_requests(built: BuiltChecks, text: str, case: Case) -> Iterator[GraderRequest]:
    for check in built.checks:
        if isinstance(check.inner, BuiltChecks):
            yield from _list_requests(check.inner, text, case)
        else:
            yield from check.inner.grader_requests(text, _case_of(check, case))


def _apply(built: BuiltChecks, given: ScoringInput, replies: list[Any]) -> CheckResult:
    """replies: to the requests that are left, taken from the front in their order."""
    marks: list[tuple[float, float]] = []
    lines: list[str] = []
    metrics: dict[str, list[tuple[float, float]]] = {}
    all_passed, lacking, unscored = True, 0, None
    for check in built.checks:
        result = _apply_one(check, given, replies)
        unscored = unscored or result.unscored
        lines += result.lines
        lacking += result.lacking
        if not result.counted:
            continue
        passed = result.passed or check.weight == 0
        all_passed = all_passed and passed
        marks.append((result.mark, check.weight))
        for name, held in result.metrics.items():
            metrics.setdefault(name, []).extend(held)
        if check.metric:
            metrics.setdefault(check.metric, []).append((result.mark, 1.0))
    mark = _mean(marks)
    passed = all_passed if not built.threshold else mark >= built.threshold - 1e-9
    return CheckResult(passed, mark, tuple(lines), metrics, len(marks), lacking, unscored)


def _apply_one(check: Check, given: ScoringInput, replies: list[Any]) -> CheckResult:
    if isinstance(check.inner, BuiltChecks):
        inner = _apply(check.inner, given, replies)
        head = f"{'✓' if inner.passed else '✗'} {len(check.inner.checks)} checks, mean {inner.mark:.4g}:"
        return inner._replace(lines=(head, *(f"  {line}" for line in inner.lines)), counted=min(inner.counted, 1))
    case = _case_of(check, given.case)
    count = len(check.inner.grader_requests(given.text, case)) if replies else 0
    own = tuple(replies.pop(0) for _ in range(count))
    score = check.inner.score_input(msgspec.structs.replace(given, case=case, replies=own))
    sentence = score.explanation.split("\n")[0]
    if not score.applies:
        broken = score if score.unscored else None
        return CheckResult(False, 0.0, (f"- {check.name}: {sentence}",), {}, 0, 1, broken)
    passed, mark = _grade(check.inner, score)
    return CheckResult(passed, mark, (f"{'✓' if passed else '✗'} {check.name}: {sentence}",), {}, 1)


def _grade(scorer: Scorer, score: Score) -> tuple[bool, float]:
    """Whether a check passes, and its mark: of a graded scorer with a threshold, the grade itself."""
    value = _to_unit(scorer, score.value)
    passed = value >= _PASSED
    if not isinstance(scorer, Adjusted) or scorer.adjustment.threshold is None or scorer.inner.scale == "free":
        return passed, value
    mark = _to_unit(scorer.inner, score.parts.get("value", 0.0))
    return passed, 1 - mark if scorer.adjustment.negate else mark


def _to_unit(scorer: Scorer, value: float) -> float:
    unit = value / 100 if scorer.scale == "percent" else value
    return 1 - unit if scorer.lower_is_better else unit


def _mean(marks: Sequence[tuple[float, float]]) -> float:
    total = sum(weight for _, weight in marks)
    return sum(mark * weight for mark, weight in marks) / total if total else 0.0
