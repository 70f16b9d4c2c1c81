"""The `tools` of a prompt's front matter: functions in Prompty's form, or in OpenAI's.

    tools:
      - name: weather
        kind: function
        description: The weather of a city
        parameters:
          - {name: city, kind: string, required: true}

`parameters` is a list of properties, a mapping of them by name, or a JSON schema. Only functions are offered to a
model; what they answer comes from the case or the bench. Arguments under `bindings` are not the model's to give.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from workbench.json_schemas import SchemaError, check_schema
from workbench.prompting.tools import Tool
from workbench.yaml_tree import to_plain

Problem = Callable[[str], None]
"""Takes what is wrong with the tools, in words."""

MOST_TOOLS = 128
_NAME = re.compile(r"[A-Za-z_][\w.-]{0,63}")
_TYPES: Mapping[str, str] = {
    "float": "number", "int": "integer", "str": "string", "bool": "boolean", "dict": "object", "list": "array",
    **{name: name for name in ("string", "integer", "number", "boolean", "array", "object", "null")},
}  # fmt: skip
_PLAIN = ("description", "enum", "default", "minimum", "maximum", "pattern", "format", "minLength", "maxLength")


def read_tools(value: object, problem: Problem) -> tuple[Tool, ...]:
    """The functions that front matter declares; what is wrong with one is told, and it is left out."""
    tools: list[Tool] = []
    for where, entry in _list_entries(value, problem):
        tool = _read_tool(where, entry, problem)
        if tool is None:
            continue
        if any(tool.name == other.name for other in tools):
            problem(f"{where} is named {tool.name!r}, as one before it")
        elif len(tools) == MOST_TOOLS:
            problem(f"{where} is one too many: at most {MOST_TOOLS} tools can be offered")
            break
        else:
            tools.append(tool)
    return tuple(tools)


def find_unused(value: object) -> Iterator[str]:
    """What of the tools no model is told of, in words."""
    for _, entry in _list_entries(value, lambda _: None):
        kind = entry.get("kind", entry.get("type", "function"))
        if kind != "function":
            name = str(entry.get("name", kind))[:60]
            yield f"the tool `{name}` of kind {str(kind)[:30]} (only functions are offered)"


def _list_entries(value: object, problem: Problem) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each tool with where it stands, whether they are a list or named by keys."""
    if value is None:
        return
    plain = _to_json(value)
    if isinstance(plain, dict):
        named = [(f"`tools.{key}`", one, key) for key, one in plain.items()]
    elif isinstance(plain, list):
        named = [(f"`tools[{at}]`", one, None) for at, one in enumerate(plain)]
    else:
        problem("`tools` is neither a list nor a mapping")
        return
    for where, entry, name in named:
        if not isinstance(entry, dict):
            problem(f"{where} is not a mapping")
            continue
        yield where, entry if name is None else {"name": name, **entry}


def _read_tool(where: str, entry: dict[str, Any], problem: Problem) -> Tool | None:
    if entry.get("kind", entry.get("type", "function")) != "function":
        return None
    inner = entry.get("function")
    entry = {**entry, **inner} if isinstance(inner, dict) else entry
    name, description = entry.get("name"), entry.get("description", "")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        problem(f"{where} has the name {name!r}; expected letters, digits, `_`, `-` and `.`, at most 64")
        return None
    if not isinstance(description, str):
        problem(f"{where}.description is not a string; put it in quotes")
        return None
    schema = _read_parameters(f"{where}.parameters", entry.get("parameters"), problem)
    if schema is None:
        return None
    schema = _without_bound(schema, entry.get("bindings"))
    try:
        check_schema(schema)
    except SchemaError as error:
        problem(f"{where}.parameters is no JSON schema: {error}")
        return None
    return Tool(name, description.strip(), schema)


def _read_parameters(where: str, value: object, problem: Problem) -> dict[str, Any] | None:
    """The JSON schema of a function's arguments; None where it cannot be read."""
    if value is None:
        return {"type": "object", "properties": {}}
    if isinstance(value, dict) and (value.get("type") == "object" or isinstance(value.get("properties"), dict)):
        return {"type": "object", "properties": {}, **value}
    if isinstance(value, dict) and isinstance(value.get("properties"), list):
        value = value["properties"]
    properties: dict[str, Any] = {}
    required = []
    if isinstance(value, list):
        listed = [(one.get("name") if isinstance(one, dict) else None, one) for one in value]
    else:
        listed = list(value.items()) if isinstance(value, dict) else [(None, value)]
    for name, given in listed:
        if not isinstance(name, str) or not isinstance(given, (dict, str)):
            problem(f"{where}: expected properties with a name, or a JSON schema")
            return None
        found = {"kind": given} if isinstance(given, str) else given
        properties[name] = _read_property(found)
        if found.get("required") is True:
            required.append(name)
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def _without_bound(schema: dict[str, Any], bindings: object) -> dict[str, Any]:
    """The schema without the arguments that are bound to inputs, which whoever runs the tool fills in."""
    bound = set(bindings) if isinstance(bindings, dict) else set()
    if isinstance(bindings, list):
        bound = {str(one.get("name")) for one in bindings if isinstance(one, dict)}
    if not bound or not isinstance(schema["properties"], dict):
        return schema
    kept = {key: value for key, value in schema.items() if key != "required"}
    kept["properties"] = {name: one for name, one in schema["properties"].items() if name not in bound}
    required = [name for name in schema.get("required") or () if name not in bound]
    return kept | ({"required": required} if required else {})


def _read_property(given: Mapping[str, Any]) -> dict[str, Any]:
    """A property in Prompty's form as a JSON schema; one that is a schema stays as it is."""
    schema = {key: given[key] for key in _PLAIN if key in given}
    kind = given.get("kind", given.get("type"))
    if isinstance(kind, str):
        schema["type"] = _TYPES.get(kind, kind)
    elif kind is not None:
        schema["type"] = kind
    if isinstance(given.get("enumValues"), list):
        schema["enum"] = given["enumValues"]
    if isinstance(given.get("items"), dict):
        schema["items"] = _read_property(given["items"])
    inner = given.get("properties")
    if isinstance(inner, list):
        inner = {str(one.get("name")): one for one in inner if isinstance(one, dict)}
    if isinstance(inner, dict):
        schema["properties"] = {name: _read_property(one) for name, one in inner.items() if isinstance(one, dict)}
        required = [name for name, one in inner.items() if isinstance(one, dict) and one.get("required") is True]
        required = given["required"] if isinstance(given.get("required"), list) else required
        if required:
            schema["required"] = required
    others = ("anyOf", "oneOf", "allOf", "const", "additionalProperties", "$ref")
    return {**schema, **{key: given[key] for key in others if key in given}}


def _to_json(value: object) -> Any:
    """A value of YAML without its own kinds of numbers, dates and keys."""
    try:
        return json.loads(json.dumps(to_plain(value, strict=False), default=str))
    except (TypeError, ValueError, RecursionError):
        return None
