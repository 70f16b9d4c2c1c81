"""What a Prompty file asks of sampling: `model.options`, in version 1 `model.parameters`, and `outputs`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from workbench.yaml_tree import to_plain

Problem = Callable[[Any, Any, str, str], None]
"""Takes the mapping that a problem is in, the key, what is wrong, and the name to call the key by."""

_NUMBER, _WHOLE, _TEXTS = "a number", "a whole number", "a list of texts"
_FIELDS: dict[str, tuple[str, str]] = {
    "temperature": ("temperature", _NUMBER),
    "maxOutputTokens": ("max_tokens", _WHOLE),
    "max_tokens": ("max_tokens", _WHOLE),
    "max_completion_tokens": ("max_tokens", _WHOLE),
    "topP": ("top_p", _NUMBER),
    "top_p": ("top_p", _NUMBER),
    "topK": ("top_k", _WHOLE),
    "top_k": ("top_k", _WHOLE),
    "frequencyPenalty": ("frequency_penalty", _NUMBER),
    "frequency_penalty": ("frequency_penalty", _NUMBER),
    "presencePenalty": ("presence_penalty", _NUMBER),
    "presence_penalty": ("presence_penalty", _NUMBER),
    "seed": ("seed", _WHOLE),
    "stopSequences": ("stop", _TEXTS),
    "stop": ("stop", _TEXTS),
}
"""The name in the file, of either version -> our sampling field, and what it must be."""

_PARTS = ("options", "parameters")
_TYPES = {
    "string": "string",
    "integer": "integer",
    "float": "number",
    "number": "number",
    "boolean": "boolean",
    "array": "array",
    "object": "object",
}
_DEEPEST = 12


def read_options(data: Mapping[str, Any], report: Problem) -> dict[str, Any]:
    """The sampling fields that the file sets; wrong values are reported."""
    found: dict[str, Any] = {}
    for where, key, value, name in _list_options(data):
        field, kind = _FIELDS[key]
        plain = to_plain(value, strict=False)
        if kind is _TEXTS and isinstance(plain, str):
            plain = [plain]
        if not _is(plain, kind):
            report(where, key, f"is {plain!r}; expected {kind}", name)
            continue
        found[field] = plain
    schema = read_outputs(data.get("outputs"))
    if schema is not None:
        found["json_schema"] = schema
    return found


def find_unused_options(data: Mapping[str, Any]) -> Iterator[str]:
    """The options that are no sampling field of ours, by name."""
    for part, options in _list_parts(data):
        for key in options:
            if str(key) not in _FIELDS and key != "additionalProperties":
                yield f"model.{part}.{key}"


def _list_parts(data: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    model: Any = data.get("model")
    for part in _PARTS if isinstance(model, Mapping) else ():
        options = model.get(part)
        if isinstance(options, Mapping):
            yield part, options


def _list_options(data: Mapping[str, Any]) -> Iterator[tuple[Any, str, Any, str]]:
    for part, options in _list_parts(data):
        for key, value in options.items():
            if str(key) in _FIELDS and value is not None:
                yield options, str(key), value, f"model.{part}.{key}"


def _is(value: Any, kind: str) -> bool:
    if kind is _TEXTS:
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (kind is _NUMBER and isinstance(value, float))


def read_outputs(outputs: Any) -> dict[str, Any] | None:
    """The JSON schema of an answer with these fields; None where there are none, or a kind has no JSON.

    Each field is required unless it says `required: false`, and there are no others.
    """
    fields = _list_fields(to_plain(outputs, strict=False))
    if not fields:
        return None
    try:
        return _make_object(fields, _DEEPEST)
    except ValueError:
        return None


def _list_fields(outputs: Any) -> list[tuple[str, Any]]:
    """The fields of a list of properties, or of a mapping of them by name, which version 2 also puts under
    `properties`."""
    if isinstance(outputs, dict) and isinstance(outputs.get("properties"), (dict, list)):
        outputs = outputs["properties"]
    if isinstance(outputs, dict):
        return [(str(name), value) for name, value in outputs.items()]
    listed = outputs if isinstance(outputs, list) else []
    return [(str(one["name"]), one) for one in listed if isinstance(one, dict) and isinstance(one.get("name"), str)]


def _make_object(fields: list[tuple[str, Any]], left: int) -> dict[str, Any]:
    properties = {name: _make_field(value, left) for name, value in fields}
    required = [name for name, value in fields if not (isinstance(value, dict) and value.get("required") is False)]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _make_field(value: Any, left: int) -> dict[str, Any]:
    """Raises ValueError for a kind that is no type of JSON."""
    if not left:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        value = {"kind": value}
    if not isinstance(value, dict):
        raise ValueError("no kind")
    kind = _TYPES.get(str(value.get("kind", value.get("type", "string"))))
    if kind is None:
        raise ValueError("no type of JSON")
    field: dict[str, Any] = {"type": kind}
    if isinstance(value.get("description"), str):
        field["description"] = value["description"]
    if isinstance(choices := value.get("enumValues", value.get("enum")), list) and choices:
        field["enum"] = choices
    if kind == "array":
        field["items"] = _make_field(value.get("items", {"kind": "string"}), left - 1)
    elif kind == "object" and (inner := _list_fields(value.get("properties"))):
        field = {**field, **_make_object(inner, left - 1)}
    return field
