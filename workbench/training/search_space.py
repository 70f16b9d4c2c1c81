"""The search space of a sweep: fields of a recipe, each with its values or a range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from workbench.errors import TrainingError
from workbench.training.recipe import Recipe

Value = float | int | str | bool


class Range(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of a number. log: sample it on a logarithmic scale."""

    low: float
    high: float
    log: bool = False


SearchSpace = Mapping[str, tuple[Value, ...] | Range]
"""Path of a recipe field, such as `training.learning_rate` -> its values, or a range."""

DEFAULT_SPACE: dict[str, tuple[Value, ...] | Range] = {
    "method.rank": (4, 8, 16, 32),
    "training.learning_rate": Range(1e-4, 5e-3, log=True),
    "training.epochs": (4.0, 8.0, 12.0),
}


def set_values(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe with these values. Raises TrainingError for an unknown field or a value that does not fit."""
    changed: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        section, _, name = path.rpartition(".")
        held = getattr(recipe, section, None) if section else None
        if not isinstance(held, msgspec.Struct) or name not in held.__struct_fields__:
            raise TrainingError(f"No such recipe field: {path!r}.", "List the fields: workbench train --fields")
        changed.setdefault(section, {})[name] = value
    sections = {name: msgspec.structs.replace(getattr(recipe, name), **held) for name, held in changed.items()}
    if "method" in sections and "method.rank" in values and "method.alpha" not in values:
        ratio = recipe.method.alpha / recipe.method.rank
        sections["method"] = msgspec.structs.replace(sections["method"], alpha=sections["method"].rank * ratio)
    made = msgspec.structs.replace(recipe, **sections)
    try:
        return msgspec.convert(msgspec.to_builtins(made), Recipe)
    except msgspec.ValidationError as error:
        hint = "List the fields: workbench train --fields"
        raise TrainingError(f"A value of the search space does not fit: {error}.", hint) from error


def parse_values(text: str) -> tuple[str, tuple[Value, ...] | Range]:
    """A field and its values, from `field=a,b` or `field=low..high`. Raises TrainingError for anything else."""
    path, found, values = text.partition("=")
    hint = "For example method.rank=4,8,16 or training.learning_rate=1e-4..5e-3"
    if not found or not values:
        raise TrainingError(f"Search space: expected a field and its values, found {text!r}.", hint)
    low, between, high = values.partition("..")
    if not between:
        return path.strip(), tuple(_parse_value(part.strip()) for part in values.split(",") if part.strip())
    try:
        ends = float(low), float(high)
    except ValueError as error:
        raise TrainingError(f"Search space: expected a range of numbers, found {values!r}.", hint) from error
    if not ends[0] < ends[1]:
        raise TrainingError(f"Search space: expected low < high, found {values}.", hint)
    return path.strip(), Range(*ends, log=ends[0] > 0 and ends[1] / ends[0] >= 10)


def _parse_value(part: str) -> Value:
    if part in ("true", "false"):
        return part == "true"
    for kind in (int, float):
        try:
            return kind(part)
        except ValueError:
            continue
    return part


def format_values(key: str, held: tuple[Value, ...] | Range) -> str:
    """The text that `parse_values` reads."""
    if isinstance(held, Range):
        return f"{key}={held.low:g}..{held.high:g}"
    return f"{key}={','.join(str(value).lower() if isinstance(value, bool) else str(value) for value in held)}"


def get_value(recipe: Recipe, key: str) -> Any:
    """The value of a recipe field; None without such a field."""
    section, _, name = key.rpartition(".")
    return getattr(getattr(recipe, section, None), name, None)


def coerce_value(recipe: Recipe, key: str, value: Value) -> Value:
    """A value in the type of the recipe field."""
    return int(value) if isinstance(get_value(recipe, key), int) and isinstance(value, float) else value
