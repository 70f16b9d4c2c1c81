"""YAML files that a person may edit by hand: decoded strictly into a struct, written back with their comments.

msgspec stops at the first fault; a person wants to hear of all of them, each with its line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, TypeVar, Union, get_args, get_origin

import msgspec

from workbench.errors import BenchError
from workbench.yaml_edit import amend, match_items
from workbench.yaml_render import render_block
from workbench.yaml_tree import YamlParseError, YamlProblem, find_line, parse_yaml, to_plain

T = TypeVar("T", bound=msgspec.Struct)


def decode(text: str, kind: type[T], where: str, former_keys: bool = False) -> T:
    """The value a document holds; `where` names the document in errors.

    Raises BenchError that names line and key of everything that is wrong. A key that was renamed is named with the new
    one where the struct lists it in a class variable RENAMED (old key -> new key). A field that TEXT_KEYS lists takes
    no numbers as keys; what it lists is how those are written that stand for something else than their text.
    former_keys: take renamed keys as they were meant, for texts that an earlier version wrote by itself.
    """
    tree = _parse(text, where)
    if former_keys:
        _rename_keys(tree, kind)
    problems = sorted(find_problems(tree, kind))
    if problems:
        lines = "\n".join(map(_format, problems))
        raise BenchError(f"{where} cannot be used:\n{lines}", "Correct these lines and open it again.")
    return msgspec.convert(to_plain(tree), kind)


def encode(value: msgspec.Struct, old: str = "") -> str:
    """The value as YAML; where `old` is a document already, its comments, order and wording are kept.

    Fields at their default are left out, unless the old document names them.
    """
    new = msgspec.to_builtins(value)
    try:
        held = to_plain(parse_yaml(old)) if old.strip() else None
    except YamlParseError:
        held = None  # what stood there was no document: nothing in it can be kept
    if isinstance(held, dict):
        amended = amend(old, _keep_named(held, new, _complete(value)))
        if amended is not None:
            return amended
    return render_block(new)


def _parse(text: str, where: str) -> Any:
    try:
        tree = parse_yaml(text)
        to_plain(tree)
    except YamlParseError as error:
        raise BenchError(f"{where} is not YAML:\n{_format(error.problem)}") from error
    return tree


def _format(problem: YamlProblem) -> str:
    column = f", column {problem.column}" if problem.column else ""
    return f"  line {problem.line}{column}: {problem.message}" if problem.line else f"  {problem.message}"


def _complete(value: Any) -> Any:
    """The value in builtins, defaults included."""
    if isinstance(value, msgspec.Struct):
        return {name: _complete(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {key: _complete(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_complete(item) for item in value]
    return value


def _keep_named(held: Any, new: Any, complete: Any) -> Any:
    """The new values, and the defaults that the document spells out."""
    if isinstance(held, dict) and isinstance(complete, dict):
        return {
            key: _keep_named(held.get(key), new.get(key, whole), whole)
            for key, whole in complete.items()
            if key in held or key in new
        }
    if isinstance(held, list) and isinstance(complete, list):
        return [
            _keep_named(None if index is None else held[index], item, whole)
            for index, item, whole in zip(match_items(held, complete), new, complete, strict=True)
        ]
    return new


def _rename_keys(node: Any, kind: Any) -> None:
    """Give the mappings of a tree the keys that their structs have now."""
    kind = _choose(_Node(node, kind, "", 1))
    arguments = get_args(kind)
    if isinstance(node, dict) and _is_struct(kind):
        for old, new in getattr(kind, "RENAMED", {}).items():
            if old in node and new not in node:
                node[new] = node.pop(old)
        for field in msgspec.structs.fields(kind):
            if field.encode_name in node:
                _rename_keys(node[field.encode_name], field.type)
    elif isinstance(node, dict) and get_origin(kind) is dict:
        for value in node.values():
            _rename_keys(value, arguments[1])
    elif isinstance(node, list) and get_origin(kind) is tuple:
        for value in node:
            _rename_keys(value, arguments[0])


class _Node(NamedTuple):
    """A node of the tree, its type and how a person would point at it."""

    node: Any
    kind: Any
    path: str
    line: int


def find_problems(tree: Any, kind: type[msgspec.Struct]) -> Iterator[YamlProblem]:
    """Everything in the tree that is not as the struct asks."""
    yield from _check(_Node(tree, kind, "", 1))


def _check(at: _Node) -> Iterator[YamlProblem]:
    kind = _choose(at)
    shape, arguments = get_origin(kind), get_args(kind)
    if _is_struct(kind):
        yield from _check_struct(at, kind)
    elif shape is dict and isinstance(at.node, dict):
        for key, value in at.node.items():
            if not isinstance(next(iter(to_plain({key: 0}))), str):
                line = find_line(at.node, key, at.line)
                yield YamlProblem(line, f"{at.path}: the key {key} is not text; put it in quotes")
            yield from _check(_Node(value, arguments[1], _join(at.path, key), find_line(at.node, key, at.line)))
    elif shape is tuple and isinstance(at.node, list):
        for index, value in enumerate(at.node):
            yield from _check(_Node(value, arguments[0], f"{at.path}[{index}]", find_line(at.node, index, at.line)))
    else:
        yield from _check_leaf(at._replace(kind=kind))


def _choose(at: _Node) -> Any:
    """The member of a union that the node means to be; limits of an annotated type only bind a leaf."""
    if get_origin(at.kind) is Annotated and isinstance(at.node, (dict, list)):
        at = at._replace(kind=get_args(at.kind)[0])
    if get_origin(at.kind) not in (Union, UnionType):
        return at.kind
    members = [kind for kind in get_args(at.kind) if kind is not NoneType]
    if at.node is None or isinstance(at.node, (str, bool, int, float)):
        return at.kind
    wanted = dict if isinstance(at.node, dict) else tuple
    fitting = [kind for kind in members if get_origin(kind) is wanted or (wanted is dict and _is_struct(kind))]
    return fitting[0] if fitting else at.kind


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _check_struct(at: _Node, kind: type[msgspec.Struct]) -> Iterator[YamlProblem]:
    if not isinstance(at.node, dict):
        found = "nothing" if at.node is None else type(at.node).__name__
        yield YamlProblem(at.line, f"{at.path or 'the file'}: expected a mapping, found {found}")
        return
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for key, value in at.node.items():
        path, line = _join(at.path, key), find_line(at.node, key, at.line)
        if key in fields:
            yield from _check(_Node(value, fields[key].type, path, line))
            yield from _check_text_keys(value, getattr(kind, "TEXT_KEYS", {}).get(key), path, line)
        else:
            yield YamlProblem(line, f"{path}: unknown key{_guess(key, fields, getattr(kind, 'RENAMED', {}))}")
    for name, field in fields.items():
        if field.required and name not in at.node:
            yield YamlProblem(at.line, f"{_join(at.path, name)}: missing")


def _check_text_keys(node: Any, form: str | None, path: str, line: int) -> Iterator[YamlProblem]:
    """Refuse numbers as keys where they could mean either a text or what `form` is for."""
    if form is None or not isinstance(node, dict):
        return
    for key in node:
        if isinstance(key, (int, float)) and not isinstance(key, bool):
            message = f"the key {key} is a number; write {form.format(key)}, or put it in quotes to mean the text"
            yield YamlProblem(find_line(node, key, line), f"{path}: {message}")


def _check_leaf(at: _Node) -> Iterator[YamlProblem]:
    try:
        msgspec.convert(to_plain(at.node), at.kind)
    except msgspec.ValidationError as error:
        message = str(error)
        yield YamlProblem(at.line, f"{at.path}: {message[:1].lower()}{message[1:]}")


def _guess(key: Any, fields: Mapping[str, Any], renamed: Mapping[str, str]) -> str:
    if key in renamed:
        return f"; it is now called {renamed[key]}"
    near = get_close_matches(str(key), fields, 1)
    return f"; did you mean {near[0]}?" if near else f"; the keys here are {', '.join(fields)}"


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)
