"""Compares two adapters: which values of their recipes and origins differ, and what each scored."""

from __future__ import annotations

from typing import Any

import msgspec

from workbench.training.manifest import Manifest
from workbench.training.recipe import Recipe
from workbench.training.recipe_fields import list_fields
from workbench.training.recipe_file import parse_stored_recipe


class ChangedValue(msgspec.Struct, frozen=True):
    """A value that differs. None: absent."""

    name: str
    left: Any
    right: Any


class ScorePair(msgspec.Struct, frozen=True):
    """A metric of both. base: of the base that each was trained on. same: both were scored on the same cases.

    p: of Fisher's exact test on two rates; NaN for other values.
    """

    name: str
    left: float | None
    right: float | None
    left_cases: int
    right_cases: int
    same: bool
    p: float


class AdapterComparison(msgspec.Struct, frozen=True):
    """Differences of two adapters. recipe: by field; origin: base, prompt, data, training."""

    left: str
    right: str
    recipe: tuple[ChangedValue, ...]
    origin: tuple[ChangedValue, ...]
    scores: tuple[ScorePair, ...]


def compare_adapters(left: Manifest, right: Manifest) -> AdapterComparison:
    """Compare two adapters. Raises TrainingError for a recipe that cannot be read."""
    recipes = (
        _flatten(parse_stored_recipe(left.recipe, left.name)),
        _flatten(parse_stored_recipe(right.recipe, right.name)),
    )
    origins = _list_origin(left), _list_origin(right)
    return AdapterComparison(
        left.name,
        right.name,
        _list_changes(*recipes, without=("name",)),
        _list_changes(*origins),
        tuple(_pair(left, right)),
    )


def _flatten(recipe: Recipe) -> dict[str, Any]:
    """Every value of a recipe by its path, with defaults, which a later version may change."""
    values = {field.path: field.default for field in list_fields()}
    return {**values, **dict(_walk("", msgspec.to_builtins(recipe)))}


def _walk(path: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        return [found for key, held in value.items() for found in _walk(f"{path}.{key}" if path else str(key), held)]
    return [(path, value)]


def _list_origin(made: Manifest) -> dict[str, Any]:
    origin: dict[str, Any] = {
        "base": f"{made.base.rpartition('/')[2]} {made.base_digest[:8]}",
        "prompt": f"{made.prompt} {made.prompt_digest[:8]}".strip(),
        "parent": made.parent,
        "updates": made.steps,
        "best update": made.best_step,
        "tokens": made.tokens,
        "seconds": round(made.seconds, 1),
        "trainable parameters": made.parameters,
    }
    for trace in made.data:
        origin[f"{trace.role} rows"] = trace.rows
        origin[f"{trace.role} data"] = f"{trace.path.rpartition('/')[2]} {trace.digest[:8]}"
    return {**origin, **{f"made with {key}": value for key, value in made.libraries.items()}}


def _list_changes(
    left: dict[str, Any], right: dict[str, Any], without: tuple[str, ...] = ()
) -> tuple[ChangedValue, ...]:
    names = [name for name in dict.fromkeys((*left, *right)) if name not in without]
    plain = [(name, _plain(left.get(name)), _plain(right.get(name))) for name in names]
    return tuple(ChangedValue(name, a, b) for name, a, b in plain if a != b)


def _plain(value: Any) -> Any:
    """An empty value counts as absent."""
    held = list(value) if isinstance(value, tuple) else value
    return None if held in ("", [], {}) else held


def _pair(left: Manifest, right: Manifest) -> list[ScorePair]:
    from workbench.statistics.interval import is_rate
    from workbench.training.regression_check import compare_rates

    a, b = left.metrics, right.metrics
    names = dict.fromkeys((*(a.scores if a else ()), *(b.scores if b else ())))
    found = []
    for name in names:
        one = a.scores.get(name) if a else None
        other = b.scores.get(name) if b else None
        cases = (a.cases if a else 0, b.cases if b else 0)
        same = bool(a and b and a.digest and a.digest == b.digest and a.cases == b.cases)
        p = float("nan")
        if one is not None and other is not None and is_rate(one, cases[0]) and is_rate(other, cases[1]):
            p = compare_rates(one, cases[0], other, cases[1])
        found.append(ScorePair(name, one, other, *cases, same, p))
    return found
