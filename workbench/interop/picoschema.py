"""Picoschema, Dotprompt's short form of a JSON schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_TYPES = ("string", "number", "integer", "boolean", "null", "any", "object", "array")
_KEY = re.compile(r"^([^(]*?)(\?)?(?:\((array|object|enum|\*)?(?:,\s*(.*))?\))?(\?)?$", re.DOTALL)


def read_picoschema(value: Any) -> dict[str, Any]:
    """The JSON schema that a value describes; one that is a JSON schema already stays as it is.

    Raises ValueError for a type that is unknown.
    """
    if isinstance(value, Mapping) and (value.get("type") in _TYPES or "$ref" in value or "properties" in value):
        if isinstance(value.get("properties"), Mapping) and "type" not in value:
            return {"type": "object", **value}
        return dict(value)
    return _read(value)


def _read(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return _read_scalar(value)
    if not isinstance(value, Mapping):
        raise ValueError(f"expected a type or fields, found {value!r}")
    properties: dict[str, Any] = {}
    required: list[str] = []
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    for key, inner in value.items():
        name, optional, kind, description = _split_key(str(key))
        if (name == "" and kind == "*") or str(key).startswith("(*)"):
            schema["additionalProperties"] = _read(inner)
            continue
        if not optional:
            required.append(name)
        field = _read_field(kind, inner, optional)
        properties[name] = {**field, **({"description": description} if description else {})}
    if required:
        schema["required"] = required
    return schema


def _read_field(kind: str, inner: Any, optional: bool) -> dict[str, Any]:
    if kind == "array":
        field: dict[str, Any] = {"type": "array", "items": _read(inner)}
    elif kind == "enum":
        choices = list(inner) if isinstance(inner, list) else [inner]
        return {"enum": [*choices, None] if optional and None not in choices else choices}
    else:
        field = _read(inner)
    if optional and isinstance(field.get("type"), str) and field["type"] != "null":
        field = {**field, "type": [field["type"], "null"]}
    return field


def _split_key(key: str) -> tuple[str, bool, str, str]:
    match = _KEY.match(key.strip())
    if match is None:
        return key, False, "", ""
    return match[1].strip(), bool(match[2] or match[5]), match[3] or "", (match[4] or "").strip()


def _read_scalar(text: str) -> dict[str, Any]:
    kind, _, description = (part.strip() for part in text.partition(","))
    if kind not in _TYPES:
        raise ValueError(f"no such type: {kind}")
    described = {"description": description} if description else {}
    return described if kind == "any" else {"type": kind, **described}
