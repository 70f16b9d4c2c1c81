"""Problems: everything that keeps a hand-written YAML tree from being a struct, with its line.

Knows nothing of which struct it is. msgspec stops at the first fault; a person wants to hear of all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin

import msgspec

from workbench.evaluation.tree import find_line, to_plain


class Problem(NamedTuple):
    """line: from 1."""

    line: int
    message: str


class _Place(NamedTuple):
    """A node of the tree, its type and how a person would point at it."""

    node: Any
    kind: Any
    path: str
    line: int


def find_problems(tree: Any, kind: type[msgspec.Struct]) -> Iterator[Problem]:
    """Everything in the tree that is not as the struct asks."""
    yield from _check(_Place(tree, kind, "", 1))


def _check(place: _Place) -> Iterator[Problem]:
    kind = _choose(place)
    shape, arguments = get_origin(kind), get_args(kind)
    if _is_struct(kind):
        yield from _check_struct(place, kind)
    elif shape is dict and isinstance(place.node, dict):
        for key, value in place.node.items():
            if not isinstance(next(iter(to_plain({key: 0}))), str):
                line = find_line(place.node, key, place.line)
                yield Problem(line, f"{place.path}: the key {key} is no text; put it into quotes")
            yield from _check(
                _Place(value, arguments[1], _join(place.path, key), find_line(place.node, key, place.line))
            )
    elif shape is tuple and isinstance(place.node, list):
        for index, value in enumerate(place.node):
            yield from _check(
                _Place(value, arguments[0], f"{place.path}[{index}]", find_line(place.node, index, place.line))
            )
    else:
        yield from _check_leaf(place._replace(kind=kind))


def _choose(place: _Place) -> Any:
    """The member of a union that the node means to be."""
    if get_origin(place.kind) not in (Union, UnionType):
        return place.kind
    members = [kind for kind in get_args(place.kind) if kind is not NoneType]
    if place.node is None or isinstance(place.node, (str, bool, int, float)):
        return place.kind
    wanted = dict if isinstance(place.node, dict) else tuple
    fitting = [kind for kind in members if get_origin(kind) is wanted or (wanted is dict and _is_struct(kind))]
    return fitting[0] if fitting else place.kind


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _check_struct(place: _Place, kind: type[msgspec.Struct]) -> Iterator[Problem]:
    if not isinstance(place.node, dict):
        found = "nothing" if place.node is None else type(place.node).__name__
        yield Problem(place.line, f"{place.path or 'the file'}: expected keys and values, found {found}")
        return
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for key, value in place.node.items():
        path, line = _join(place.path, key), find_line(place.node, key, place.line)
        if key in fields:
            yield from _check(_Place(value, fields[key].type, path, line))
        else:
            yield Problem(line, f"{path}: unknown key{_guess(key, fields)}")
    for name, field in fields.items():
        if field.required and name not in place.node:
            yield Problem(place.line, f"{_join(place.path, name)}: missing")


def _check_leaf(place: _Place) -> Iterator[Problem]:
    try:
        msgspec.convert(to_plain(place.node), place.kind)
    except msgspec.ValidationError as error:
        message = str(error)
        yield Problem(place.line, f"{place.path}: {message[:1].lower()}{message[1:]}")


def _guess(key: Any, fields: dict[str, msgspec.structs.FieldInfo]) -> str:
    near = get_close_matches(str(key), fields, 1)
    return f"; did you mean {near[0]}?" if near else f"; the keys here are {', '.join(fields)}"


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)
