"""Documents: YAML that a person may edit by hand, decoded strictly and written back with its comments.

Knows nothing of what a document is about: any msgspec struct will do.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from ruamel.yaml.error import MarkedYAMLError

from workbench.errors import BenchError
from workbench.evaluation.amendment import amend, match_items
from workbench.evaluation.layout import render_block
from workbench.evaluation.problem import find_problems
from workbench.evaluation.tree import load_tree, to_plain
from workbench.yaml_bounds import YAML_FAULTS, check_bounds, explain_fault

T = TypeVar("T", bound=msgspec.Struct)


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
    """The value as YAML; where `old` is a document already, its comments, order and wording are kept.

    Fields at their default are left out, unless the old document names them.
    """
    new = msgspec.to_builtins(value)
    try:
        held = to_plain(_parse(old, "")) if old.strip() else None
    except BenchError:
        held = None  # what stood there was no document: nothing in it can be kept
    if isinstance(held, dict):
        amended = amend(old, _keep_named(held, new, _complete(value)))
        if amended is not None:
            return amended
    return render_block(new)


def _parse(text: str, where: str) -> Any:
    try:
        check_bounds(text)
        tree = load_tree(text)
        to_plain(tree)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise BenchError(f"{where} is not YAML:\n  {place}{error.problem or error.context}") from error
    except YAML_FAULTS as error:
        raise BenchError(f"{where} is not YAML:\n  {explain_fault(error)}") from error
    return tree


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
        places = match_items(held, complete)
        return [
            _keep_named(None if place is None else held[place], item, whole)
            for place, item, whole in zip(places, new, complete, strict=True)
        ]
    return new
