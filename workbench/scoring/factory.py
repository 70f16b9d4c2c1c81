"""From a bench's list of scorers to the scorers themselves, with every problem of the list reported at once."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from workbench.errors import ScorerError
from workbench.scoring.adjustment import Adjusted, Adjustment
from workbench.scoring.registry import ScorerKind, scorer_kinds
from workbench.scoring.scorer import Scorer
from workbench.yaml_document import find_problems

ScorerEntry = str | dict[str, dict[str, Any]]
"""A scorer as a bench lists it: its name, or its name with options."""


def make_scorers(specs: Sequence[ScorerEntry], folder: Path | None = None) -> tuple[Scorer, ...]:
    """The scorers of a bench, in order.

    specs: names, or one-key mappings of a name to its options; the option `name` renames a scorer.
    folder: the bench's, from which files that scorers name are looked up first.
    Raises ScorerError with every problem of the list.
    """
    scorers, problems = make_each(specs, folder or Path.cwd())
    problems += [
        f"{name}: `weight` only applies among the parts of `combined`" for name in map(_find_weighted, specs) if name
    ]
    if problems:
        raise ScorerError(
            "Scorers cannot be used:\n" + "\n".join(f"  {problem}" for problem in problems),
            f"The scorers are: {', '.join(scorer_kinds())}. `workbench scorers` describes each.",
        )
    return tuple(scorers)


def make_each(specs: Sequence[ScorerEntry], folder: Path) -> tuple[list[Scorer], list[str]]:
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


def _make_one(spec: ScorerEntry, folder: Path) -> Scorer:
    """One scorer. Raises ScorerError with all that is wrong with it."""
    items = [(spec, {})] if isinstance(spec, str) else list(spec.items())
    if len(items) != 1:
        raise ScorerError(f"expected a name or one name with its options, found {len(items)} names: {spec!r}")
    name, options = items[0]
    kinds = scorer_kinds()
    if name not in kinds:
        near = get_close_matches(name, kinds, 1)
        raise ScorerError(f"no such scorer: {name!r}" + (f"; did you mean {near[0]}?" if near else ""))
    if not isinstance(options or {}, dict):
        raise ScorerError(f"{name}: expected options by name, found {options!r}")
    try:
        return _make(kinds[name], options or {}, folder)
    except ScorerError as error:
        raise ScorerError(f"{name}: {error.message}", error.hint, error.details) from error


def _make(kind: ScorerKind, options: dict[str, Any], folder: Path) -> Scorer:
    common = {key: value for key, value in options.items() if key in Adjustment.__struct_fields__}
    own = {key: value for key, value in options.items() if key not in common}
    inner: Scorer = _convert(own, kind.config).build(folder)
    if not common:
        return inner
    adjustment: Adjustment = _convert(common, Adjustment)
    name = inner.name
    if "name" not in own:
        name = f"not_{name}" if adjustment.negate else name
        name = f"{adjustment.step}.{name}" if adjustment.step else name
    return Adjusted(name=name, inner=inner, adjustment=adjustment)


def _convert(options: dict[str, Any], kind: type[Any]) -> Any:
    problems = [problem.message for problem in find_problems(options, kind)]
    if problems:
        raise ScorerError("; ".join(problems))
    try:
        return msgspec.convert(options, kind)
    except msgspec.ValidationError as error:
        cause = error.__cause__
        raise cause if isinstance(cause, ScorerError) else ScorerError(str(error)) from error


def _find_weighted(spec: ScorerEntry) -> str:
    """The name of a scorer that was given a weight."""
    items = list(spec.items()) if isinstance(spec, dict) else []
    return next((name for name, options in items if isinstance(options, dict) and "weight" in options), "")
