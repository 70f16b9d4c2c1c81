"""Defaults: where a prompt file writes the values that its inputs have by default, in the forms of both versions.

Knows the keys `inputs` and `sample`; nothing of the rest of the front matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from workbench.library.formats.yaml_text import make_default, make_scalar, open_map
from workbench.prompting.values import Kind

Report = Callable[[Any, Any, str, str], None]
"""Takes a problem: the mapping or list it is in, the key, what is wrong, and the name to call the key by."""


def _ignore(_where: Any, _key: Any, _problem: str, _name: str) -> None:
    """The front matter was checked when it was read."""


class Place(NamedTuple):
    """Where the default of an input is written: `where[key]`."""

    name: str
    where: Any
    key: Any


def find_defaults(data: CommentedMap, report: Report = _ignore) -> list[Place]:
    """The places of all defaults, in the forms of both versions."""
    places: dict[str, Place] = {}
    sample = data.get("sample")  # version 1
    if isinstance(sample, CommentedMap):
        places = {str(name): Place(str(name), sample, name) for name in sample}
    inputs = find_inputs(data)
    if isinstance(inputs, CommentedMap):
        for name, value in inputs.items():
            places |= _find_default(str(name), inputs, name, value)
    elif isinstance(inputs, CommentedSeq):
        for number, value in enumerate(inputs):
            if isinstance(value, CommentedMap) and isinstance(value.get("name"), str):
                places |= _find_default(str(value["name"]), inputs, number, value)
            else:
                report(inputs, number, "has no `name`", f"inputs[{number}]")
    elif inputs is not None:
        report(data, "inputs", "is neither a list nor a mapping", "inputs")
    return list(places.values())


def find_inputs(data: CommentedMap) -> Any:
    """The list or mapping of the inputs, which version 2 also writes under `properties`."""
    inputs = data.get("inputs")
    inner = inputs.get("properties") if isinstance(inputs, CommentedMap) else None
    return inner if isinstance(inner, CommentedSeq) else inputs


def find_declared(data: CommentedMap) -> Iterator[tuple[str, str]]:
    """Each input with the type that the file declares for it."""
    inputs = find_inputs(data)
    if isinstance(inputs, CommentedMap):
        named = ((str(name), value) for name, value in inputs.items())
    elif isinstance(inputs, CommentedSeq):
        named = ((str(value.get("name", "")), value) for value in inputs if isinstance(value, CommentedMap))
    else:
        return
    for name, value in named:
        kind = value.get("kind", value.get("type")) if isinstance(value, CommentedMap) else None
        if kind is not None:
            yield name, str(kind)


def _find_default(name: str, where: Any, key: Any, value: Any) -> dict[str, Place]:
    if not isinstance(value, CommentedMap):
        return {} if isinstance(where, CommentedSeq) else {name: Place(name, where, key)}
    written = next((each for each in ("default", "sample") if each in value), None)
    return {name: Place(name, value, written)} if written else {}


def apply_defaults(
    root: CommentedMap, before: Mapping[str, str], defaults: Mapping[str, str], kinds: Mapping[str, Kind]
) -> None:
    """Write the defaults that differ, each with the type it had."""
    places = {place.name: place for place in find_defaults(root)}
    for name in before.keys() - defaults.keys():
        place = places[name]
        del place.where[place.key]
    for name, value in defaults.items():
        if before.get(name) == value:
            continue
        if name in places:
            place = places[name]
            place.where[place.key] = make_default(value, kinds.get(name))
        else:
            _add_default(root, name, value)


def _add_default(root: CommentedMap, name: str, value: str) -> None:
    inputs = find_inputs(root)
    if isinstance(inputs, CommentedSeq):
        known = [item for item in inputs if isinstance(item, CommentedMap) and item.get("name") == name]
        if not known:
            known = [CommentedMap(name=make_scalar(name))]
            inputs.append(known[0])
        known[0]["default"] = make_scalar(value)
        return
    inputs = open_map(root, "inputs")
    known_map = next((inputs[key] for key in inputs if str(key) == name), None)
    if isinstance(known_map, CommentedMap):
        known_map["default"] = make_scalar(value)
    else:
        inputs[make_scalar(name)] = make_scalar(value)
