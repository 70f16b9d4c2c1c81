"""The scorers there are, by name, and the way from a bench's list to them.

Knows nothing of how any of them judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import msgspec

from workbench.errors import ScorerError
from workbench.evaluation.scorers.contains import Contains
from workbench.evaluation.scorers.exact_match import ExactMatch
from workbench.evaluation.scorers.json_fields import JsonFields
from workbench.evaluation.scorers.json_valid import JsonValid
from workbench.evaluation.scorers.pattern import Regex
from workbench.evaluation.scorers.scorer import Scorer
from workbench.evaluation.scorers.token_f1 import TokenF1

_KINDS: dict[str, type[Any]] = {
    "exact_match": ExactMatch,
    "contains": Contains,
    "regex": Regex,
    "json_valid": JsonValid,
    "json_fields": JsonFields,
    "token_f1": TokenF1,
}


def list_scorers() -> dict[str, str]:
    """Each scorer's name and what it asks, in one line."""
    return {name: " ".join((kind.__doc__ or "").split("\n\n")[0].split()) for name, kind in _KINDS.items()}


def make_scorers(specs: Sequence[str | dict[str, dict[str, Any]]]) -> tuple[Scorer, ...]:
    """The scorers of a bench, in order.

    specs: names, or one-key mappings of a name to its options; the option `name` renames a scorer.
    Raises ScorerError with every problem of the list.
    """
    problems: list[str] = []
    scorers: list[Scorer] = []
    for spec in specs:
        try:
            scorers.append(_make(spec))
        except ScorerError as error:
            problems.append(error.message)
    names = [scorer.name for scorer in scorers]
    twice = sorted({name for name in names if names.count(name) > 1})
    problems.extend(f"two scorers are called {name}: give one of them the option `name`" for name in twice)
    if problems:
        known = ", ".join(_KINDS)
        raise ScorerError(
            "Scorers cannot be used:\n" + "\n".join(f"  {problem}" for problem in problems),
            f"The scorers are: {known}.",
        )
    return tuple(scorers)


def _make(spec: str | dict[str, dict[str, Any]]) -> Scorer:
    items = [(spec, {})] if isinstance(spec, str) else list(spec.items())
    if len(items) != 1:
        raise ScorerError(f"expected a name or one name with its options, found {len(items)} names: {spec!r}")
    name, options = items[0]
    if name not in _KINDS:
        near = get_close_matches(name, _KINDS, 1)
        raise ScorerError(f"no scorer is called {name!r}" + (f"; did you mean {near[0]}?" if near else ""))
    kind = _KINDS[name]
    try:
        scorer: Scorer = msgspec.convert(options or {}, kind)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, ScorerError):
            raise ScorerError(f"{name}: {error.__cause__.message}") from error
        known = ", ".join(kind.__struct_fields__)
        raise ScorerError(f"{name}: {error} (options: {known})") from error
    except ScorerError as error:
        raise ScorerError(f"{name}: {error.message}") from error
    return scorer
