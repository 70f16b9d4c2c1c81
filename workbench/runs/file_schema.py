"""JSON Schemas of the files that a person edits, by which an editor completes and checks them."""

from __future__ import annotations

import ast
import inspect
import re
from textwrap import dedent
from typing import Any

import msgspec

from workbench.inference.sampling_fields import FIELDS
from workbench.inference.types import Sampling
from workbench.scoring.adjustment import Adjustment
from workbench.scoring.catalog import NAME_HELP
from workbench.scoring.registry import scorer_kinds
from workbench.units import Bytes, Seconds

_REF = "#/$defs/{name}"
_UNITS: dict[Any, Any] = dict.fromkeys((Bytes, Seconds), float | str)
"""How a file may write an amount."""


def make_schema(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a file that holds such a struct; `scorers` has every registered scorer."""
    configs = [one.config for one in scorer_kinds().values()] if "scorers" in kind.__struct_fields__ else []
    shown = _with_plain_units(kind)
    (root, *_), parts = msgspec.json.schema_components([shown, Adjustment, *configs], ref_template=_REF)
    for struct in _list_structs(kind).union(*map(_list_structs, configs)):
        _describe(struct, parts[struct.__name__])
    for field in parts[kind.__name__]["properties"].values():
        for name in _list_references(field):
            field.setdefault("description", parts[name].get("description", ""))
    if configs:
        _add_scorers(parts)
        properties = parts[kind.__name__]["properties"]
        properties["scorers"] = {**properties["scorers"], "items": {"$ref": "#/$defs/Scorer"}}
    used = {**parts.pop(kind.__name__)} if "$ref" in root else root
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **used, "$defs": _keep_used(used, parts)}


def _with_plain_units(kind: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """The struct with amounts as the numbers or texts that a file has for them: msgspec cannot describe ours."""
    fields = msgspec.structs.fields(kind)
    if not any(field.type in _UNITS for field in fields):
        return kind
    plain: list[tuple[str, Any, Any]] = []
    for field in fields:
        default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
        unit = _UNITS.get(field.type)
        plain.append((field.name, unit, float(default)) if unit else (field.name, field.type, default))
    return msgspec.defstruct(kind.__name__, plain, forbid_unknown_fields=True)


def _list_structs(kind: Any) -> set[type[msgspec.Struct]]:
    """The struct and all that its fields hold."""
    found: set[type[msgspec.Struct]] = set()
    left: list[Any] = [kind]
    while left:
        one = left.pop()
        if isinstance(one, type) and issubclass(one, msgspec.Struct) and one not in found:
            found.add(one)
            left += [field.type for field in msgspec.structs.fields(one)]
        else:
            left += getattr(one, "__args__", ())
    return found


def _describe(kind: type[msgspec.Struct], schema: dict[str, Any]) -> None:
    """Give the properties of a struct's schema the descriptions that its docstring or its source has of them."""
    summary, texts = split_docstring(kind)
    if summary:
        schema["description"] = summary
    for base in kind.__mro__[1:]:  # what a struct takes from another one is described there
        if base is not msgspec.Struct and issubclass(base, msgspec.Struct):
            texts = split_docstring(base)[1] | _read_field_strings(base) | texts
    if kind is Sampling:
        texts |= {field.name: field.help for field in FIELDS}
    for name, text in (texts | _read_field_strings(kind)).items():
        schema["properties"][name].setdefault("description", text)
        if "$ref" in schema["properties"][name]:
            schema["properties"][name]["description"] = text


def split_docstring(kind: type[msgspec.Struct]) -> tuple[str, dict[str, str]]:
    """A struct's docstring: what it is, and what it says of each field as `field: text` or `field, field: text`."""
    text = " ".join((kind.__doc__ or "").split())
    name = f"(?:{'|'.join(map(re.escape, kind.__struct_fields__))})"
    found = list(re.finditer(rf"(?:(?<=[.;] )|(?<=^))({name}(?:, {name})*): ", text))
    ends = [*(match.start() for match in found[1:]), len(text)]
    if not found:
        return text, {}
    texts = {
        field: text[match.end() : end].strip()
        for match, end in zip(found, ends, strict=True)
        for field in match[1].split(", ")
    }
    return text[: found[0].start()].strip(), texts


def _read_field_strings(kind: type[msgspec.Struct]) -> dict[str, str]:
    """The strings that stand under the fields in a struct's source."""
    body = ast.parse(dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    return {
        field.target.id: " ".join(below.value.value.split())
        for field, below in zip(body.body, body.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


def _add_scorers(parts: dict[str, Any]) -> None:
    """The definition `Scorer`: a name, or a name with its options."""
    common = parts["Adjustment"]["properties"]
    by_name: dict[str, Any] = {}
    for kind in scorer_kinds().values():
        own = parts.pop(kind.config.__name__, None) or {"type": "object", "properties": {}}
        own["properties"] = {**own["properties"], **common}
        own["properties"].get("name", {}).setdefault("description", NAME_HELP)
        parts[f"{kind.name}_options"] = own
        by_name[kind.name] = {
            "description": " ".join(filter(None, (f"{kind.help}.", kind.notes))),
            "anyOf": [{"$ref": f"#/$defs/{kind.name}_options"}, {"type": "null"}],
        }
    if "parts" in (combined := parts["combined_options"]["properties"]):
        combined["parts"] = {**combined["parts"], "items": {"$ref": "#/$defs/Scorer"}}
    names = [{"const": kind.name, "description": kind.help} for kind in scorer_kinds().values()]
    options = {"type": "object", "properties": by_name, "additionalProperties": False}
    parts["Scorer"] = {"anyOf": [*names, {**options, "minProperties": 1, "maxProperties": 1}]}


def _keep_used(root: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    """The definitions that the schema reaches."""
    used: dict[str, Any] = {}
    left = _list_references(root)
    while left:
        name = left.pop()
        if name not in used:
            used[name] = parts[name]
            left += _list_references(parts[name])
    return used


def _list_references(node: Any) -> list[str]:
    if isinstance(node, dict):
        here = [node["$ref"].rpartition("/")[2]] if isinstance(node.get("$ref"), str) else []
        return here + [name for value in node.values() for name in _list_references(value)]
    return [name for value in node for name in _list_references(value)] if isinstance(node, list) else []
