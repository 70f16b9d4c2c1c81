"""The scorers there are, by name, and the way from a bench's list to them.

Knows nothing of how any of them judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from workbench.errors import ScorerError
from workbench.evaluation.problem import find_problems
from workbench.evaluation.scorers.accuracy import Accuracy
from workbench.evaluation.scorers.adjustment import Adjusted, Adjustment
from workbench.evaluation.scorers.combined import Combination
from workbench.evaluation.scorers.contains import Contains
from workbench.evaluation.scorers.edit_distance import EditDistance, EditSimilarity
from workbench.evaluation.scorers.effort import Cost, Latency, OutputLength
from workbench.evaluation.scorers.exact_match import ExactMatch
from workbench.evaluation.scorers.json_fields import JsonFields
from workbench.evaluation.scorers.json_schema import JsonSchema
from workbench.evaluation.scorers.json_valid import JsonValid
from workbench.evaluation.scorers.judge import Judge
from workbench.evaluation.scorers.likelihoods import LogLikelihood, Perplexity
from workbench.evaluation.scorers.multiple_choice import MultipleChoice
from workbench.evaluation.scorers.normalized_match import NormalizedMatch
from workbench.evaluation.scorers.numeric_match import NumericMatch
from workbench.evaluation.scorers.pairwise import Pairwise
from workbench.evaluation.scorers.pattern import Regex
from workbench.evaluation.scorers.python_function import PythonFunction
from workbench.evaluation.scorers.rouge import Rouge1, Rouge2, RougeL
from workbench.evaluation.scorers.scorer import Scorer
from workbench.evaluation.scorers.token_f1 import TokenF1
from workbench.evaluation.scorers.translation import Bleu, ChrF

Spec = str | dict[str, dict[str, Any]]

KINDS: dict[str, type[Any]] = {
    "exact_match": ExactMatch,
    "normalized_match": NormalizedMatch,
    "numeric_match": NumericMatch,
    "contains": Contains,
    "regex": Regex,
    "accuracy": Accuracy,
    "token_f1": TokenF1,
    "bleu": Bleu,
    "chrf": ChrF,
    "rouge1": Rouge1,
    "rouge2": Rouge2,
    "rougeL": RougeL,
    "edit_distance": EditDistance,
    "edit_similarity": EditSimilarity,
    "json_valid": JsonValid,
    "json_schema": JsonSchema,
    "json_fields": JsonFields,
    "python": PythonFunction,
    "log_likelihood": LogLikelihood,
    "perplexity": Perplexity,
    "multiple_choice": MultipleChoice,
    "judge": Judge,
    "pairwise": Pairwise,
    "latency": Latency,
    "output_length": OutputLength,
    "cost": Cost,
    "combined": Combination,
}


def list_scorers() -> dict[str, str]:
    """Each scorer's name and what it asks, in one line."""
    return {name: " ".join((kind.__doc__ or "").split("\n\n")[0].split()) for name, kind in KINDS.items()}


def make_scorers(specs: Sequence[Spec], folder: Path | None = None) -> tuple[Scorer, ...]:
    """The scorers of a bench, in order.

    specs: names, or one-key mappings of a name to its options; the option `name` renames a scorer.
    folder: the bench's, from which files that scorers name are looked up first.
    Raises ScorerError with every problem of the list.
    """
    scorers, problems = _make_all(specs, folder or Path.cwd())
    problems += [
        f"{name}: a weight counts only among the parts of `combined`" for name in map(_weighted, specs) if name
    ]
    if problems:
        raise ScorerError(
            "Scorers cannot be used:\n" + "\n".join(f"  {problem}" for problem in problems),
            f"The scorers are: {', '.join(KINDS)}. `workbench scorers` says more about each.",
        )
    return tuple(scorers)


def _make_all(specs: Sequence[Spec], folder: Path) -> tuple[list[Scorer], list[str]]:
    """The scorers, and everything that is wrong with the list."""
    problems: list[str] = []
    scorers: list[Scorer] = []
    for spec in specs:
        try:
            scorers.append(_make_one(spec, folder))
        except ScorerError as error:
            problems.append(error.message)
    names = [scorer.name for scorer in scorers]
    twice = sorted({name for name in names if names.count(name) > 1})
    problems.extend(f"two scorers are called {name}: give one of them the option `name`" for name in twice)
    return scorers, problems


def _make_one(spec: Spec, folder: Path) -> Scorer:
    """One scorer. Raises ScorerError with all that is wrong with it."""
    items = [(spec, {})] if isinstance(spec, str) else list(spec.items())
    if len(items) != 1:
        raise ScorerError(f"expected a name or one name with its options, found {len(items)} names: {spec!r}")
    name, options = items[0]
    if name not in KINDS:
        near = get_close_matches(name, KINDS, 1)
        raise ScorerError(f"no scorer is called {name!r}" + (f"; did you mean {near[0]}?" if near else ""))
    if not isinstance(options or {}, dict):
        raise ScorerError(f"{name}: expected options by name, found {options!r}")
    try:
        return _make(name, options or {}, folder)
    except ScorerError as error:
        raise ScorerError(f"{name}: {error.message}", error.hint, error.details) from error


def _make(name: str, options: dict[str, Any], folder: Path) -> Scorer:
    kind = KINDS[name]
    common = {key: value for key, value in options.items() if key in Adjustment.__struct_fields__}
    own = {key: value for key, value in options.items() if key not in common}
    made = _convert(own, kind)
    inner = _combine(made, folder) if isinstance(made, Combination) else made.locate(folder)
    if not common:
        return inner
    adjustment: Adjustment = _convert(common, Adjustment)
    turned = adjustment.negate and "name" not in own
    return Adjusted(inner=inner, adjustment=adjustment, label=f"not_{inner.name}" if turned else "")


def _combine(combination: Combination, folder: Path) -> Scorer:
    scorers, problems = _make_all(combination.parts, folder)
    if problems:
        raise ScorerError("parts: " + "; ".join(problems))
    return combination.combine(scorers)


def _convert(options: dict[str, Any], kind: type[Any]) -> Any:
    problems = [problem.message for problem in find_problems(options, kind)]
    if problems:
        raise ScorerError("; ".join(problems))
    try:
        return msgspec.convert(options, kind)
    except msgspec.ValidationError as error:
        cause = error.__cause__
        raise cause if isinstance(cause, ScorerError) else ScorerError(str(error)) from error


def _weighted(spec: Spec) -> str:
    """The name of a scorer that was given a weight."""
    items = list(spec.items()) if isinstance(spec, dict) else []
    return next((name for name, options in items if isinstance(options, dict) and "weight" in options), "")
