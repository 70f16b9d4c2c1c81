"""Fields: every value of a recipe with its explanation, default and choices, in order, as a form shows them.

Knows nothing of forms.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from workbench.evaluation.bench import Dataset
from workbench.training.recipe import Recipe

_SECTIONS = {
    "train": "the rows to learn from; empty: the bench's, in their split train",
    "validation": "the rows to examine on while it learns; empty: the bench's, in their split validation",
}
_DATASET = {
    "path": "the file or folder",
    "columns": "prompt variable -> column; empty: the columns as they are",
    "expected": "the column with the right answer",
    "format": "what kind of file it is; empty: as its name says",
    "layout": "what its columns mean, such as alpaca or messages; empty: recognised",
    "split": "which of several parts, such as train",
    "where": "only rows whose column has this value",
    "sample": "so many rows, drawn by the seed",
    "seed": "decides which rows are drawn",
    "limit": "the first so many rows",
    "on_error": "skip leaves out rows that cannot be read, refuse refuses the file",
    "defaults": "variables that no column holds, for which every row takes the default of the prompt",
}


class Field(msgspec.Struct, frozen=True):
    """One value of a recipe. path: keys joined by points, such as `training.batch`. section: the part before the last
    point. choices: where only these can be. kind: text, number, whole, switch, list or map. required: has no default.
    optional: may be empty, which has a meaning of its own."""

    path: str
    section: str
    name: str
    explanation: str
    kind: str
    default: Any = None
    choices: tuple[str, ...] = ()
    required: bool = False
    optional: bool = False


class Section(msgspec.Struct, frozen=True):
    """A group of fields. optional: the whole group may be left out."""

    path: str
    explanation: str
    optional: bool = False


def list_sections() -> tuple[Section, ...]:
    """The groups of fields below the top level."""
    found = []
    for field in msgspec.structs.fields(Recipe):
        inner, optional = _unwrap(field.type)
        if _is_struct(inner):
            told = _SECTIONS.get(field.name) or " ".join((inner.__doc__ or "").split())
            found.append(Section(field.name, told, optional))
    return tuple(found)


def list_fields() -> tuple[Field, ...]:
    """Every value that a recipe can have."""
    return tuple(_list(Recipe, ""))


def _list(kind: type[msgspec.Struct], section: str) -> Iterator[Field]:
    for field in msgspec.structs.fields(kind):
        inner, optional = _unwrap(field.type)
        path = f"{section}.{field.name}" if section else field.name
        if _is_struct(inner):
            yield from _list(inner, path)
            continue
        explanation = _explain(field.type) or (_DATASET.get(field.name, "") if kind is Dataset else "")
        choices = tuple(get_args(inner)) if get_origin(inner) is Literal else ()
        default = None if field.default is msgspec.NODEFAULT else field.default
        if field.default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        yield Field(path, section, field.name, explanation, _name(inner), default, choices, field.required, optional)


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
