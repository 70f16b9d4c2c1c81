"""Space: what a sweep tries: fields of a recipe, and for each its values or a range.

Knows nothing of how values are chosen (sweep.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from workbench.errors import TrainingError
from workbench.training.recipe import Recipe

Value = float | int | str | bool


class Range(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From where to where a number is tried. log: by its order of magnitude."""

    low: float
    high: float
    log: bool = False


Space = Mapping[str, tuple[Value, ...] | Range]
"""What is tried: a path of the recipe, such as `training.learning_rate` -> the values, or a range."""

USUAL: dict[str, tuple[Value, ...] | Range] = {
    "method.rank": (4, 8, 16, 32),
    "training.learning_rate": Range(1e-4, 5e-3, log=True),
    "training.epochs": (4.0, 8.0, 12.0),
}


def set_values(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe with other values at these paths. Raises TrainingError for a path that it does not have."""
    changed: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        section, _, name = path.rpartition(".")
        held = getattr(recipe, section, None) if section else None
        if not isinstance(held, msgspec.Struct) or name not in held.__struct_fields__:
            raise TrainingError(f"A recipe has no value {path!r} to try.", "`workbench train --fields` lists them.")
        changed.setdefault(section, {})[name] = value
    sections = {name: msgspec.structs.replace(getattr(recipe, name), **held) for name, held in changed.items()}
    if "method" in sections and "method.rank" in values and "method.alpha" not in values:
        ratio = recipe.method.alpha / recipe.method.rank
        sections["method"] = msgspec.structs.replace(sections["method"], alpha=sections["method"].rank * ratio)
    made = msgspec.structs.replace(recipe, **sections)
    try:
        return msgspec.convert(msgspec.to_builtins(made), Recipe)
    except msgspec.ValidationError as error:
        hint = "`workbench train --fields` explains them."
        raise TrainingError(f"A value to try does not suit: {error}.", hint) from error


def read_values(text: str) -> tuple[str, tuple[Value, ...] | Range]:
    """What to try for a field, from text: `field=a,b` or `field=low..high`. Raises TrainingError for anything else."""
    path, found, said = text.partition("=")
    hint = "Such as method.rank=4,8,16 or training.learning_rate=1e-4..5e-3"
    if not found or not said:
        raise TrainingError(f"To try: expected a field and its values, found {text!r}.", hint)
    low, between, high = said.partition("..")
    if not between:
        return path.strip(), tuple(_read_value(part.strip()) for part in said.split(",") if part.strip())
    try:
        ends = float(low), float(high)
    except ValueError as error:
        raise TrainingError(f"To try: {said!r} is no range of numbers.", hint) from error
    if not ends[0] < ends[1]:
        raise TrainingError(f"To try: the range {said} ends before it begins.", hint)
    return path.strip(), Range(*ends, log=ends[0] > 0 and ends[1] / ends[0] >= 10)


def _read_value(part: str) -> Value:
    if part in ("true", "false"):
        return part == "true"
    for kind in (int, float):
        try:
            return kind(part)
        except ValueError:
            continue
    return part


def write_values(key: str, held: tuple[Value, ...] | Range) -> str:
    """The text that `read_values` reads."""
    if isinstance(held, Range):
        return f"{key}={held.low:g}..{held.high:g}"
    return f"{key}={','.join(str(value).lower() if isinstance(value, bool) else str(value) for value in held)}"


def find_value(recipe: Recipe, key: str) -> Any:
    """What a recipe says at a path; None where it has no such path."""
    section, _, name = key.rpartition(".")
    return getattr(getattr(recipe, section, None), name, None)


def suit(recipe: Recipe, key: str, value: Value) -> Value:
    """A value as a recipe takes it at a path."""
    return int(value) if isinstance(find_value(recipe, key), int) and isinstance(value, float) else value
