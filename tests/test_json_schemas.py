from __future__ import annotations

import time
from typing import Any

import pytest

from workbench.json_schemas import SchemaError, check_schema, find_problems

MANY_WAYS = "(a+)+$"
STUBBORN = "a" * 4000 + "!"
DRAFT_7 = "http://json-schema.org/draft-07/schema#"


def nest(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


def double(**more: Any) -> dict[str, Any]:
    """Forty parts, each of which asks twice for the next one."""
    parts = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)}
    return {"$defs": {**parts, "a40": {}}, "$ref": "#/$defs/a0", **more}


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (nest(300), "deeper than"),
        ({"enum": list(range(20_000))}, "more than 10,000"),
        ({"$schema": 5}, "expected the URL"),
        ({"$schema": ["a"]}, "expected the URL"),
        ({"pattern": "a{99999999999999999}"}, "grow beyond"),
        ({"properties": {"a": {"patternProperties": {"(?R)": {}}}}}, "calls itself"),
        ({"pattern": "("}, "missing )"),
        ({"multipleOf": 0}, "multipleOf"),
        ({"unevaluatedProperties": False, "patternProperties": {"a": {}}}, "use additionalProperties"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_schema_that_cannot_be_used_is_refused_in_words(schema: Any, reason: str) -> None:
    with pytest.raises(SchemaError) as refused:
        check_schema(schema)
    assert reason in str(refused.value) and len(str(refused.value)) < 320


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"pattern": MANY_WAYS}, STUBBORN),
        ({"patternProperties": {MANY_WAYS: {}}}, {STUBBORN: 1}),
        ({"patternProperties": {MANY_WAYS: {}}, "additionalProperties": False}, {STUBBORN: 1}),
        ({"contains": {"pattern": MANY_WAYS}}, [STUBBORN] * 50),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$schema": DRAFT_7, "pattern": MANY_WAYS}}}, STUBBORN),
        (double(), 1),
        ({**double(), "$schema": DRAFT_7}, 1),
        ({"$ref": "#"}, 1),
        ({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}, 1),
        ({"$ref": "http://127.0.0.1:9/x"}, 1),
        ({"$ref": "file:///etc/hostname"}, 1),
        ({"$id": "http://127.0.0.1:9/", "$ref": "b"}, 1),
        ({"$dynamicRef": "#x"}, 1),
        ({"multipleOf": 0.1}, 10**400),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_schema_that_cannot_be_applied_ends_in_words(schema: Any, value: Any) -> None:
    check_schema(schema)
    began = time.process_time()
    with pytest.raises(SchemaError):
        find_problems(schema, value, 0.5)
    assert time.process_time() - began < 3


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"pattern": "^a"}, "ba", ["$: 'ba' does not match '^a'"]),
        ({"patternProperties": {"^n": {"type": "number"}}}, {"n1": "x", "o": 1}, ["$.n1: 'x' is not of type 'number'"]),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"a": 1, "b": 2}, ["$: 'b' is not expected here"]),
        ({"patternProperties": {"^n": {}}, "additionalProperties": False}, {"n1": 1}, []),
        ({"additionalProperties": {"type": "string"}}, {"b": 2}, ["$.b: 2 is not of type 'string'"]),
        ({"uniqueItems": True}, [1, 1.0], ["$: duplicate item"]),
        ({"uniqueItems": True}, [1, True, "1", "true", [1], [True], {"a": 1}, {"a": "1"}, None, "True"], []),
        ({"uniqueItems": True}, [{"a": 1, "b": [2]}, {"b": [2], "a": 1}], ["$: duplicate item"]),
        ({"properties": {"a": {"$ref": "#"}}, "required": ["a"]}, {"a": {}}, ["$.a: 'a' is a required property"]),
    ],
)
def test_what_is_not_as_the_schema_says_has_its_place(schema: Any, value: Any, expected: list[str]) -> None:
    check_schema(schema)
    assert find_problems(schema, value) == expected


def test_many_items_are_compared_at_once() -> None:
    items = [{"a": number} for number in range(5000)]
    assert find_problems({"uniqueItems": True}, items) == []
