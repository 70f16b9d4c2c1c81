"""Every field of a recipe with its help text, default and choices, in order, for forms and the command line."""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from workbench.datasets.spec import AutoSplit, Dataset
from workbench.training.recipe import Recipe

_SECTIONS = {
    "train": "training rows; empty: the bench's train split, or an automatic one",
    "validation": "rows for evaluation; empty: the validation split, or an automatic one",
    "auto_split": "parts of data without splits; empty: made and remembered",
}
_DATASET = {
    "path": "file or folder",
    "columns": "prompt variable -> column; empty: columns by their own names",
    "expected": "column with the expected answer",
    "format": "file format; empty: by the file's name",
    "layout": "meaning of the columns, such as alpaca or messages; empty: detected",
    "split": "split of the dataset, such as train",
    "where": "only rows whose column has this value",
    "exclude": "numbers of rows to leave out, from 1",
    "sample": "number of rows to sample, by the seed",
    "seed": "seed of the sample",
    "limit": "number of rows from the top",
    "on_error": "skip: leave out rows that cannot be read; refuse: refuse the file",
    "defaults": "variables without a column, which take the prompt's defaults",
    "checks": "column with scorers of single rows; training reads it as no variable",
    "relevant": "column with the relevant documents; training reads it as no variable",
    "synthetic": "rows marked `origin: synthetic`: include, exclude or only; empty: in training alone",
    "group": "column whose rows belong together, such as a customer: they are never divided between parts",
}
_AUTO_SPLIT = {
    "seed": "seed of the automatic split",
    "validation": "share of the rows for validation, 0 to 1; 0: none",
    "test": "share of the rows that are sealed for evaluations, 0 to 1; 0: none",
    "group": "column whose rows stay in one part; empty: that of the dataset",
    "from_split": "split whose rows are divided; empty: all rows",
}
_KNOWN: dict[type[msgspec.Struct], dict[str, str]] = {Dataset: _DATASET, AutoSplit: _AUTO_SPLIT}


class RecipeField(msgspec.Struct, frozen=True):
    """One field of a recipe.

    path: keys joined by dots, such as `training.batch_size`; section: the part before the last dot. choices: the only
    values, where there are such. kind: text, number, whole, switch, list or map. required: has no default. optional:
    may be empty, which has a meaning of its own.
    """

    path: str
    section: str
    name: str
    explanation: str
    kind: str
    default: Any = None
    choices: tuple[str, ...] = ()
    required: bool = False
    optional: bool = False


class RecipeSection(msgspec.Struct, frozen=True):
    """A group of fields. optional: the whole group may be left out."""

    path: str
    explanation: str
    optional: bool = False


def list_sections() -> tuple[RecipeSection, ...]:
    """The groups of fields below the top level."""
    found = []
    for field in msgspec.structs.fields(Recipe):
        inner, optional = _unwrap(field.type)
        if _is_struct(inner):
            explanation = _SECTIONS.get(field.name) or " ".join((inner.__doc__ or "").split())
            found.append(RecipeSection(field.name, explanation, optional))
    return tuple(found)


def list_fields() -> tuple[RecipeField, ...]:
    """Every value that a recipe can have."""
    return tuple(_list(Recipe, ""))


def _list(kind: type[msgspec.Struct], section: str) -> Iterator[RecipeField]:
    for field in msgspec.structs.fields(kind):
        inner, optional = _unwrap(field.type)
        path = f"{section}.{field.name}" if section else field.name
        if _is_struct(inner):
            yield from _list(inner, path)
            continue
        explanation = _explain(field.type) or _KNOWN.get(kind, {}).get(field.name, "")
        choices = tuple(get_args(inner)) if get_origin(inner) is Literal else ()
        default = None if field.default is msgspec.NODEFAULT else field.default
        if field.default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        yield RecipeField(
            path, section, field.name, explanation, _name(inner), default, choices, field.required, optional
        )


def _unwrap(kind: Any) -> tuple[Any, bool]:
    """The type behind annotations and `| None`, and whether None is allowed."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, UnionType):
        members = [member for member in get_args(kind) if member is not NoneType]
        optional = len(members) < len(get_args(kind))
        return (members[0] if len(members) == 1 else kind), optional
    return kind, False


def _explain(kind: Any) -> str:
    notes = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
    return next((note.description or "" for note in notes if isinstance(note, msgspec.Meta)), "")


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _name(kind: Any) -> str:
    origin = get_origin(kind)
    if origin in (tuple, dict):
        return "list" if origin is tuple else "map"
    return {bool: "switch", int: "whole", float: "number"}.get(kind, "text")
