"""Documents: YAML that a person may edit by hand, decoded strictly and written back with its comments.

Knows nothing of what a document is about: any msgspec struct will do.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarstring import LiteralScalarString

from workbench.errors import BenchError
from workbench.evaluation.problem import find_problems, to_plain

T = TypeVar("T", bound=msgspec.Struct)

_INLINE = ("sampling", "examples_off", "columns")  # short enough for one line


def decode(text: str, kind: type[T], where: str) -> T:
    """The value a document holds; `where` names the document in errors.

    Raises BenchError that names line and key of everything that is wrong.
    """
    tree = _parse(text, where)
    problems = sorted(find_problems(tree, kind))
    if problems:
        lines = "\n".join(f"  line {line}: {message}" for line, message in problems)
        raise BenchError(f"{where} cannot be used:\n{lines}", "Correct these lines and open it again.")
    return msgspec.convert(to_plain(tree), kind)


def encode(value: msgspec.Struct, old: str = "") -> str:
    """The value as YAML; where `old` is a document already, its comments, order and wording are kept."""
    new = msgspec.to_builtins(value)
    try:
        tree = _parse(old, "") if old.strip() else None
    except BenchError:
        tree = None  # what stood there was no document: nothing in it can be kept
    if isinstance(tree, CommentedMap):
        _update(tree, new, _complete(value))
    else:
        tree = _lay_out(new)
    stream = io.StringIO()
    _yaml().dump(tree, stream)
    return stream.getvalue()


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1 << 30  # long texts stay on their line
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _parse(text: str, where: str) -> Any:
    try:
        return _yaml().load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise BenchError(f"{where} is not YAML:\n  {place}{error.problem or error.context}") from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise BenchError(f"{where} is not YAML:\n  {error}") from error


def _complete(value: Any) -> Any:
    """The value in builtins, defaults included."""
    if isinstance(value, msgspec.Struct):
        return {name: _complete(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {key: _complete(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_complete(item) for item in value]
    return value


def _update(tree: CommentedMap, new: dict[str, Any], complete: dict[str, Any]) -> None:
    """Bring a mapping to the new values. A key that the file names stays, even when it is at its default."""
    for key in [key for key in tree if key not in complete]:
        del tree[key]
    for key, whole in complete.items():
        if key in tree:
            tree[key] = _merge(tree[key], new.get(key, whole), whole)
        elif key in new:
            tree[key] = _lay_out(new[key], key)


def _merge(old: Any, new: Any, complete: Any) -> Any:
    if isinstance(old, CommentedMap) and isinstance(new, dict):
        _update(old, new, complete)
        return old
    if isinstance(old, CommentedSeq) and isinstance(new, (list, tuple)):
        return _merge_list(old, new, complete)
    same = old == new and isinstance(old, bool) == isinstance(new, bool)
    return old if same else _lay_out(new)


def _merge_list(old: CommentedSeq, new: Sequence[Any], complete: Sequence[Any]) -> CommentedSeq:
    """Items keep what was written about them: matched by name where they have one, else by position."""
    places = list(_match(old, new))
    kept = [place for place in places if place is not None]
    for unwanted in reversed([place for place in range(len(old)) if place not in kept]):
        del old[unwanted]
    order = sorted(kept)
    places = [None if place is None else order.index(place) for place in places]
    items = [
        _lay_out(item) if place is None else _merge(old[place], item, whole)
        for place, item, whole in zip(places, new, complete, strict=True)
    ]
    if kept == order:  # in place, so that comments between the items stay where they are
        for index, (place, item) in enumerate(zip(places, items, strict=True)):
            if place is None:
                old.insert(index, item)
            else:
                old[index] = item
        return old
    fresh = CommentedSeq(items)
    fresh.fa.set_flow_style() if old.fa.flow_style() else fresh.fa.set_block_style()
    return fresh


def _match(old: CommentedSeq, new: Sequence[Any]) -> Iterator[int | None]:
    names = {_name(item): place for place, item in enumerate(old)}
    wanted = {_name(item) for item in new}
    free = {place for place, item in enumerate(old) if _name(item) is None or _name(item) not in wanted}
    for index, item in enumerate(new):
        place = names.get(_name(item)) if _name(item) is not None else None
        if place is None and index in free:
            place = index
            free.discard(index)
        yield place


def _name(item: Any) -> Any:
    return item.get("name") if isinstance(item, dict) else None


def _lay_out(value: Any, key: str = "") -> Any:
    """A new part of a document, in the form a person would write it."""
    if isinstance(value, dict):
        tree = CommentedMap({name: _lay_out(item, name) for name, item in value.items()})
        if key in _INLINE:
            tree.fa.set_flow_style()
        return tree
    if isinstance(value, (list, tuple)):
        items = CommentedSeq([_lay_out(item) for item in value])
        if key in _INLINE:
            items.fa.set_flow_style()
        return items
    if isinstance(value, str) and _suits_block(value):
        return LiteralScalarString(value)
    return value


def _suits_block(text: str) -> bool:
    """Whether a text of several lines survives as a YAML block, where it is easiest to read."""
    lines = text.split("\n")
    plain = all(char.isprintable() or char == "\n" for char in text)
    return (
        len(lines) > 1
        and plain
        and bool(lines[0].strip())
        and not any(line != line.rstrip() for line in lines)
        and not lines[0].startswith(" ")
    )
