"""The values of a recipe as one types them into a form, and read back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from workbench.errors import TrainingError
from workbench.training.recipe import Recipe
from workbench.training.recipe_data import read_weighted_path
from workbench.training.recipe_fields import RecipeField
from workbench.training.recipe_problems import check_recipe
from workbench.yaml_tree import YamlParseError, parse_yaml, to_plain

_OPTIONAL = ("preference", "rollouts")
"""sections that are not there without a value"""

_DATASETS = "datasets"


def write_value(field: RecipeField, values: dict[str, Any]) -> str:
    """A field as one types it; empty where the recipe says nothing else than the default."""
    value: Any = values
    for key in field.path.split("."):
        if not isinstance(value, dict) or key not in value:
            return ""
        value = value[key]
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if field.path == _DATASETS:
        return ", ".join(map(_write_weighted, value))
    if isinstance(value, dict):
        return ", ".join(f"{key}={_write_choice(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_write_item, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _write_item(item: Any) -> str:
    """An item of a list; a scorer with options as a bench has it, in one line."""
    if isinstance(item, dict) and len(item) == 1:
        ((name, options),) = item.items()
        return f"{name}: {msgspec.json.encode(options).decode()}"
    return str(item)


def _write_choice(value: Any) -> str:
    return "|".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _write_weighted(dataset: dict[str, Any]) -> str:
    weight = dataset.get("weight", 1.0)
    return dataset["path"] if weight == 1 else f"{dataset['path']}={weight:g}"


def _read_datasets(text: str, known: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """`mine.csv, more.csv=0.5`: files with how often their rows are drawn. known: whose other fields are kept."""
    left = list(known)  # one file may stand there twice, with other splits
    found = []
    for path, weight in (read_weighted_path(part.strip()) for part in text.split(",") if part.strip()):
        same = next((one for one in left if one["path"] == path), {})
        left = [one for one in left if one is not same]
        found.append({**same, "path": path, "weight": weight})
    return found


def read_values(recipe: Recipe, typed: Iterable[tuple[RecipeField, str]]) -> Recipe:
    """The recipe with what was typed; an empty field is its default. Raises TrainingError for what cannot be."""
    values = msgspec.to_builtins(recipe)
    for field, text in typed:
        if text.strip() == write_value(field, values):
            continue
        *sections, name = field.path.split(".")
        section_values = values
        for section in sections:
            section_values = section_values.setdefault(section, {})
        if text.strip():
            known = section_values.get(name) or ()
            section_values[name] = (
                _read_datasets(text, known) if field.path == _DATASETS else _read(field, text.strip())
            )
        else:
            section_values.pop(name, None)
            if not section_values and sections[:1] in ([name] for name in _OPTIONAL):
                del values[sections[0]]
    for section in ("train", "auto_split"):
        kept = {name: value for name, value in (values.get(section) or {}).items() if name != "path" or value}
        if kept and section == "train":
            kept.setdefault("path", "")  # the bench's own file
        values[section] = kept or None
    try:
        changed = msgspec.convert(values, Recipe, strict=False)
    except msgspec.ValidationError as error:
        raise TrainingError(str(error)) from error
    check_recipe(changed)
    return changed


def _read(field: RecipeField, text: str) -> object:
    if field.kind == "switch":
        if text.lower() not in ("yes", "no", "true", "false"):
            raise TrainingError(f"{field.name}: expected yes or no, found {text!r}.")
        return text.lower() in ("yes", "true")
    if field.kind == "map":
        return _read_map(field, text)
    if field.kind == "list":
        return _read_list(field, text)
    try:
        return {"whole": int, "number": float}.get(field.kind, str)(text)
    except ValueError as error:
        kind = "whole number" if field.kind == "whole" else "number"
        raise TrainingError(f"{field.name}: expected a {kind}, found {text!r}.") from error


def _read_list(field: RecipeField, text: str) -> Any:
    """`one, two`; with options, such as `exact_match, judge: {model: mine, rubric: Is it polite?}`, as YAML."""
    if "{" not in text:
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return to_plain(parse_yaml(f"[{text}]"))
    except YamlParseError as error:
        raise TrainingError(f"{field.name}: expected names, with options as a bench has them: {error}.") from error


def _read_map(field: RecipeField, text: str) -> dict[str, str | list[str]]:
    """`language=de|fr, kind=note`: a value, or several of which a row has one."""
    found: dict[str, str | list[str]] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, separator, value = part.partition("=")
        if not separator or not name.strip():
            raise TrainingError(f"{field.name}: expected NAME=VALUE, several with commas between, found {part!r}.")
        values = [one.strip() for one in value.split("|")]
        found[name.strip()] = values if len(values) > 1 else values[0]
    return found
