"""The default values of a prompt file's inputs, in the forms of both Prompty versions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarbool import ScalarBoolean

from workbench.prompting.values import Kind, read_as, write_json
from workbench.yaml_render import render_inline
from workbench.yaml_tree import Opaque, WrittenFloat, WrittenInt, to_plain

Report = Callable[[Any, Any, str, str], None]
"""Takes a problem: the mapping or list it is in, the key, what is wrong, and the name to call the key by."""


def _ignore(_where: Any, _key: Any, _problem: str, _name: str) -> None:
    """The front matter was checked when it was read."""


class DefaultLocation(NamedTuple):
    """Where the default of an input is written: `where[key]`."""

    name: str
    where: Any
    key: Any


def find_defaults(data: CommentedMap, report: Report = _ignore) -> list[DefaultLocation]:
    """The locations of all defaults, in the forms of both versions."""
    locations: dict[str, DefaultLocation] = {}
    sample = data.get("sample")  # version 1
    if isinstance(sample, CommentedMap):
        locations = {str(name): DefaultLocation(str(name), sample, name) for name in sample}
    inputs = find_inputs(data)
    if isinstance(inputs, CommentedMap):
        for name, value in inputs.items():
            locations |= _find_default(str(name), inputs, name, value)
    elif isinstance(inputs, CommentedSeq):
        for number, value in enumerate(inputs):
            if isinstance(value, CommentedMap) and isinstance(value.get("name"), str):
                locations |= _find_default(str(value["name"]), inputs, number, value)
            else:
                report(inputs, number, "has no `name`", f"inputs[{number}]")
    elif inputs is not None:
        report(data, "inputs", "is neither a list nor a mapping", "inputs")
    return list(locations.values())


def open_map(where: CommentedMap, key: str) -> CommentedMap:
    """The mapping under a key, made where there is none."""
    if not isinstance(where.get(key), CommentedMap):
        where[key] = CommentedMap()
    return where[key]  # type: ignore[no-any-return]


class Default(NamedTuple):
    """A default as text, and its type where that is not text."""

    text: str
    kind: Kind | None


def read_default(value: Any) -> Default:
    """Numbers as they are written, lists and mappings as JSON."""
    if isinstance(value, (dict, list, tuple, set)):
        plain = _to_json(to_plain(value, strict=False))
        return Default(write_json(plain), "object" if isinstance(plain, dict) else "array")
    if isinstance(value, (bool, ScalarBoolean)):
        return Default("true" if value else "false", "boolean")
    if isinstance(value, (WrittenInt, WrittenFloat)):
        return Default(value.written, "integer" if isinstance(value, int) else "float")
    plain = to_plain(value, strict=False)
    return Default(plain.text if isinstance(plain, Opaque) else str(plain), None)


def make_default(text: str, kind: Kind | None) -> Any:
    """What is written for a default of that type; a text that would not come back as it is stays text."""
    value = read_as(text, kind) if kind and kind != "string" else text
    if isinstance(value, (dict, list)):
        return value
    return value if not isinstance(value, str) and render_inline(to_plain(value)) == text else text


def _to_json(value: Any) -> Any:
    """A plain value without what JSON cannot hold: infinite numbers and YAML's own types become text."""
    if isinstance(value, dict):
        return {str(key): _to_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_to_json(item) for item in value]
    if isinstance(value, Opaque):
        return value.text
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


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


def _find_default(name: str, where: Any, key: Any, value: Any) -> dict[str, DefaultLocation]:
    if not isinstance(value, CommentedMap):
        return {} if isinstance(where, CommentedSeq) else {name: DefaultLocation(name, where, key)}
    written = next((each for each in ("default", "sample") if each in value), None)
    return {name: DefaultLocation(name, value, written)} if written else {}


def apply_defaults(
    root: CommentedMap, before: Mapping[str, str], defaults: Mapping[str, str], kinds: Mapping[str, Kind]
) -> None:
    """Write the defaults that differ, each with the type it had."""
    locations = {location.name: location for location in find_defaults(root)}
    for name in before.keys() - defaults.keys():
        location = locations[name]
        del location.where[location.key]
    for name, value in defaults.items():
        if before.get(name) == value:
            continue
        if name in locations:
            location = locations[name]
            location.where[location.key] = make_default(value, kinds.get(name))
        else:
            _add_default(root, name, value)


def _add_default(root: CommentedMap, name: str, value: str) -> None:
    inputs = find_inputs(root)
    if isinstance(inputs, CommentedSeq):
        known = [item for item in inputs if isinstance(item, CommentedMap) and item.get("name") == name]
        if not known:
            known = [CommentedMap(name=name)]
            inputs.append(known[0])
        known[0]["default"] = value
        return
    inputs = open_map(root, "inputs")
    known_map = next((inputs[key] for key in inputs if str(key) == name), None)
    if isinstance(known_map, CommentedMap):
        known_map["default"] = value
    else:
        inputs[name] = value
