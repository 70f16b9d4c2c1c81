"""Which JSON schemas an answer can be held to, token by token.

llguidance follows a large part of JSON Schema and refuses the rest. A few of its answers are valid by the specification
and not by jsonschema, which is what answers are checked with; schemas that lead there are refused as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from workbench.json_schemas import SchemaError, check_schema

_UNSUPPORTED = (
    *("not", "if", "then", "else", "contains", "minContains", "maxContains", "propertyNames"),
    *("dependencies", "dependentRequired", "dependentSchemas", "unevaluatedProperties", "unevaluatedItems"),
    *("$dynamicRef", "$recursiveRef", "x-guidance"),
)
"""Keywords that no prefix of an answer decides. x-guidance would loosen the rules from inside the schema."""

_DRAFTS = re.compile(r"https?://json-schema\.org/(draft-0[467]|draft/2019-09|draft/2020-12)/schema#?")

_MAPS = ("properties", "patternProperties", "$defs", "definitions")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_SINGLES = ("items", "additionalItems", "additionalProperties")

_DIFFERING_PATTERN = re.compile(r"\\[DWSpPbBzZ]|\[\^[^\]]*\\[dws]|\[\[:|&&|--|~~|\(\?[^:]")
"""Where Rust's regular expressions, which llguidance follows, and Python's, which jsonschema does, part: negated
classes (ASCII against Unicode), POSIX classes, set operations, flags and anchors inside."""


class Subschema(NamedTuple):
    """One of the schemas that a schema is made of. path: where it stands, such as `$.properties.age`."""

    path: str
    schema: dict[str, Any]


def prepare_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema as llguidance takes it. Raises SchemaError that names every keyword that cannot be enforced."""
    check_schema(schema)
    problems = [f"{part.path}: {problem}" for part in iterate_parts(schema) for problem in _find_problems(part.schema)]
    draft = schema.get("$schema")
    if draft is not None and not _DRAFTS.fullmatch(draft):
        problems.insert(0, f"$: $schema is {draft!r}; expected draft 4, 6, 7, 2019-09 or 2020-12")
    if problems:
        raise SchemaError("; ".join(problems))
    prepared: dict[str, Any] = _simplify(schema, closes=_is_plain(schema))
    return prepared


def iterate_parts(schema: Any, path: str = "$") -> Iterator[Subschema]:
    """A schema and every schema in it, the values of enum, const and examples aside."""
    if not isinstance(schema, dict):
        return
    yield Subschema(path, schema)
    for key in _MAPS:
        for name, inner in _items(schema.get(key)):
            yield from iterate_parts(inner, f"{path}.{key}.{name}")
    for key in _LISTS:
        for index, inner in enumerate(schema[key] if isinstance(schema.get(key), list) else ()):
            yield from iterate_parts(inner, f"{path}.{key}[{index}]")
    for key in _SINGLES:
        yield from iterate_parts(schema.get(key), f"{path}.{key}")


def _find_problems(schema: dict[str, Any]) -> Iterator[str]:
    for keyword in _UNSUPPORTED:
        if keyword in schema:
            yield f"{keyword} cannot be enforced"
    if schema.get("uniqueItems"):
        yield "uniqueItems cannot be enforced"
    step = schema.get("multipleOf", 1)
    if step != int(step):
        yield f"multipleOf is {step}; expected a whole number, since decimals are not exact"
    least, required = schema.get("minProperties", 0), len(schema.get("required", ()))
    if least > max(1, required):  # names beyond those in `properties` may come twice, and then count once
        yield f"minProperties is {least}; expected at most 1, or the number of required properties ({required})"
    patterns = [*filter(None, [schema.get("pattern")]), *(name for name, _ in _items(schema.get("patternProperties")))]
    for pattern in patterns:
        if found := _DIFFERING_PATTERN.search(pattern):
            yield f"pattern {pattern[:80]!r}: {found[0]!r} cannot be enforced"


def _is_plain(schema: dict[str, Any]) -> bool:
    """Whether no object of a schema is described in two places at once."""
    joins = {"anyOf", "oneOf", "$ref"}
    return not any(
        "allOf" in part.schema or ("properties" in part.schema and joins & set(part.schema))
        for part in iterate_parts(schema)
    )


def _simplify(schema: Any, closes: bool) -> Any:
    """The same without `uniqueItems: false`, which llguidance refuses although it asks for nothing.

    closes: an object has no other properties than those that are named, unless it says more of them; small models
    would write others without end. llama.cpp does so too.
    """
    if not isinstance(schema, dict):
        return schema
    found = {key: held for key, held in schema.items() if not (key == "uniqueItems" and held is False)}
    for key in _MAPS:
        if isinstance(found.get(key), dict):
            found[key] = {name: _simplify(inner, closes) for name, inner in found[key].items()}
    for key in _LISTS:
        if isinstance(found.get(key), list):
            found[key] = [_simplify(inner, closes) for inner in found[key]]
    for key in _SINGLES:
        if key in found and not isinstance(found[key], list):
            found[key] = _simplify(found[key], closes)
    named = set(found.get("properties", ()))
    if closes and named >= set(found.get("required", ())) and named and "patternProperties" not in found:
        found.setdefault("additionalProperties", False)
    return found


def _items(held: Any) -> list[tuple[str, Any]]:
    return list(held.items()) if isinstance(held, dict) else []
