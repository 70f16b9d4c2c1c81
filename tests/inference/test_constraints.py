"""Constraints, apart from any model: answers drawn at random from what a mask allows are valid."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import EngineError
from workbench.inference.constraints import Constraint, ConstraintCompiler, compute_masks
from workbench.inference.types import Sampling
from workbench.inference.vocabulary import Vocabulary

END, TURN_END, CONTROL = 0, 1, 2
PIECES = [b"{}", b'{"', b'": ', b", ", b"true", b"null", b"12", b"-7", b'"}', b"\xc3\xa9", b"\n", b"[]", b"[1"]


class ConstraintVocabulary(Vocabulary):
    """Every byte is a token, and so are a few longer pieces. ending: whether a token ends an answer."""

    def __init__(self, ending: bool = True) -> None:
        self._ending = ending
        self._spelled = [b"<end>", b"<turn>", b"<control>", *(bytes((byte,)) for byte in range(256)), *PIECES]
        controls = {END: "<end>", TURN_END: "<turn>", CONTROL: "<control>"}
        super().__init__(len(self._spelled), None, END, controls, False)

    def tokenize(self, text: str, special: bool) -> list[int]:
        return [3 + byte for byte in text.encode()]

    def token_to_bytes(self, token: int) -> bytes:
        return self._spelled[token]

    def ends(self, token: int) -> bool:
        return self._ending and token in (END, TURN_END)


VOCABULARY = ConstraintVocabulary()
COMPILER = ConstraintCompiler(VOCABULARY)


def compile_constraint(compiler: ConstraintCompiler = COMPILER, **sampling: Any) -> Constraint:
    found = compiler.compile(Sampling(**sampling))
    assert found is not None
    return found


def draw(constraint: Constraint, seed: int, most: int = 400) -> bytes | None:
    """An answer of tokens drawn at random from those that may come; None where it does not end soon."""
    chance = random.Random(seed)
    text = b""
    for _ in range(most):
        allowed = constraint.allowed_tokens().tolist()
        assert allowed, text
        ends = [token for token in allowed if VOCABULARY.ends(token)]
        token = ends[0] if ends and chance.random() < 0.5 else chance.choice(allowed)
        if token in ends:
            return text
        assert constraint.allows(token)
        constraint.accept(token)
        text += VOCABULARY.token_to_bytes(token)
        if constraint.finished:
            return text
    return None


SCALARS = st.one_of(
    st.builds(
        lambda low, span: {"type": "integer", "minimum": low, "maximum": low + span},
        st.integers(-50, 50),
        st.integers(0, 99),
    ),
    st.builds(lambda low: {"type": "integer", "minimum": low}, st.integers(-5, 500)),
    st.builds(lambda step: {"type": "integer", "multipleOf": step}, st.integers(1, 12)),
    st.builds(lambda low: {"type": "number", "minimum": low, "exclusiveMaximum": low + 2}, st.integers(-3, 3)),
    st.builds(
        lambda low, span: {"type": "string", "minLength": low, "maxLength": low + span},
        st.integers(0, 4),
        st.integers(0, 4),
    ),
    st.sampled_from(
        [
            {"type": "string"},
            {"type": "string", "pattern": "^[a-c]{2,4}$"},
            {"type": "string", "pattern": r"^\d{3}-\w+$"},
            {"type": "string", "format": "date"},
            {"type": ["null", "boolean"]},
            {"type": "number"},
            {"enum": [1, "two", None, 2.5, {"three": [4]}]},
            {"const": 'a "quoted"\n\u0007é😀'},
        ]
    ),
)


def extend(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    names = st.lists(st.sampled_from(["a", "b", "queue", "ünïcode", 'with "quotes"']), unique=True, max_size=3)
    objects = names.flatmap(
        lambda keys: st.builds(
            lambda parts, required, rest: {
                "type": "object",
                "properties": dict(zip(keys, parts, strict=True)),
                "required": [key for key, needed in zip(keys, required, strict=True) if needed],
                "additionalProperties": rest,
            },
            st.lists(inner, min_size=len(keys), max_size=len(keys)),
            st.lists(st.booleans(), min_size=len(keys), max_size=len(keys)),
            st.one_of(st.just(False), inner),
        )
    )
    arrays = st.builds(
        lambda items, low, span: {"type": "array", "items": items, "minItems": low, "maxItems": low + span},
        inner,
        st.integers(0, 2),
        st.integers(0, 2),
    )
    tuples = st.builds(
        lambda parts: {"type": "array", "prefixItems": parts, "items": False}, st.lists(inner, min_size=1, max_size=3)
    )
    choices = st.builds(lambda parts: {"anyOf": parts}, st.lists(inner, min_size=1, max_size=3))
    return st.one_of(objects, arrays, tuples, choices)


SCHEMAS = st.recursive(SCALARS, extend, max_leaves=6)


@settings(max_examples=150, deadline=None)
@given(schema=SCHEMAS, seed=st.integers(0, 2**32))
def test_whatever_a_schema_lets_through_is_valid_under_it(schema: dict[str, Any], seed: int) -> None:
    try:
        constraint = compile_constraint(json_schema=schema)
    except EngineError as error:
        assert "JSON schema cannot be enforced" in error.message
        return
    text = draw(constraint, seed)
    if text is not None:
        jsonschema.validate(json.loads(text), schema)


DRAFT_7 = "http://json-schema.org/draft-07/schema#"
RECURSIVE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
            "required": ["next"],
            "additionalProperties": False,
        }
    },
}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]},
        {"type": "integer", "multipleOf": 7},
        {"type": "array", "items": {"type": "integer"}, "uniqueItems": False},
        {"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 5}]},
        {"oneOf": [{"type": "integer"}, {"type": "string", "maxLength": 3}]},
        {"$schema": DRAFT_7, "type": "array", "items": [{"type": "boolean"}], "additionalItems": False},
        {"patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": False, "minProperties": 1},
        RECURSIVE,
    ],
)
def test_answers_are_valid(schema: dict[str, Any]) -> None:
    texts = [text for seed in range(40) if (text := draw(compile_constraint(json_schema=schema), seed)) is not None]
    assert len(texts) > 10
    for text in texts:
        jsonschema.validate(json.loads(text), schema)


def test_an_object_has_no_other_properties_than_those_that_are_named_unless_it_says_so() -> None:
    named: dict[str, Any] = {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}
    for schema, expected in ((named, False), ({**named, "additionalProperties": True}, True)):
        constraint = compile_constraint(json_schema=schema)
        for byte in b'{"a":1':
            constraint.accept(3 + byte)
        assert constraint.allows(3 + ord(",")) is expected
    joined = {"allOf": [named, {"properties": {"b": {"const": 2}}, "required": ["b"]}]}
    jsonschema.validate(json.loads(draw(compile_constraint(json_schema=joined), 1) or b""), joined)


def test_control_characters_never_stand_raw_in_a_string() -> None:
    constraint = compile_constraint(json_schema={"type": "string"})
    constraint.accept(3 + ord('"'))
    assert not [byte for byte in range(32) if constraint.allows(3 + byte)]
    assert constraint.allows(3 + ord("\\"))
    assert constraint.allows(3 + 0xC3)
    assert not constraint.allows(CONTROL)


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        ({"properties": {"tags": {"type": "array", "uniqueItems": True}}}, r"\$.properties.tags: uniqueItems"),
        ({"if": {}, "then": {"minLength": 3}}, r"\$: if cannot be enforced; \$: then cannot"),
        ({"anyOf": [{}, {"not": {"type": "string"}}]}, r"\$.anyOf\[1\]: not"),
        ({"items": {"contains": {}}}, r"\$.items: contains"),
        ({"multipleOf": 0.1}, "multipleOf is 0.1; expected a whole number"),
        ({"minProperties": 2}, "minProperties is 2; expected at most 1"),
        ({"type": "string", "pattern": r"^\W$"}, r"pattern .*cannot be enforced"),
        ({"type": "string", "pattern": "(?=a)"}, "pattern"),
        ({"type": "string", "format": "shoe-size"}, "shoe-size"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "oneOf"),
        ({"$ref": "https://example.com/schema.json"}, "example.com"),
        ({"$ref": "#/definitions/gone"}, "gone"),
        ({"$ref": "#"}, "no answer can follow it"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, r"minimum \(3\) is greater"),
        ({"type": "strange"}, "strange"),
        ({"properties": []}, "properties"),
        ({"x-guidance": {"lenient": True}, "uniqueItems": True}, "x-guidance"),
        ({"$schema": "http://json-schema.org/draft-03/schema#"}, r"\$schema"),
        ({"items": [{"type": "string"}]}, "items"),
    ],
)
def test_a_schema_that_cannot_be_enforced_is_refused_by_its_keyword(schema: dict[str, Any], found: str) -> None:
    with pytest.raises(EngineError, match=found):
        compile_constraint(json_schema=schema)


@pytest.mark.parametrize(
    ("constraint", "pattern"),
    [
        ({"regex": "[a-c]{2}|yes"}, "[a-c]{2}|yes"),
        ({"grammar": 'root ::= "the " ("in" | "an") [0-9]{3}'}, "the (in|an)[0-9]{3}"),
        ({"grammar": 'root ::= [äöü😀]{4} "\\u20ac"  # euro'}, "[äöü😀]{4}€"),
        ({"grammar": 'root ::= a root | "b"\na ::= "x" | ""'}, "x*b"),
        ({"grammar": 'root ::= "a" | root "b"'}, "ab*"),
        ({"grammar": 'start: "x" NUMBER\nNUMBER: /[0-9]+/'}, "x[0-9]+"),
    ],
)
def test_an_answer_follows_a_regular_expression_or_a_grammar(constraint: dict[str, str], pattern: str) -> None:
    for seed in range(20):
        text = draw(compile_constraint(**constraint), seed)
        assert text is None or re.fullmatch(pattern, text.decode())


@pytest.mark.parametrize(
    "grammar",
    [
        "root ::= (",
        "root ::= other",
        "nothing at all",
        'answer ::= "yes"',
        "root ::= root root",
        "\x00",
        "root ::= [",
        'root ::= "\\x"',
        'root ::= "a"{3,1}',
        "root ::= " + "(" * 5000 + '"a"',
        "start: missing",
    ],
)
def test_a_bad_grammar_is_refused(grammar: str) -> None:
    with pytest.raises(EngineError, match="grammar cannot be enforced"):
        compile_constraint(grammar=grammar)


@pytest.mark.parametrize("pattern", ["(?=a)b", "[", r"\1"])
def test_a_bad_regular_expression_is_refused(pattern: str) -> None:
    with pytest.raises(EngineError, match="regular expression cannot be enforced"):
        compile_constraint(regex=pattern)


def test_every_token_that_ends_an_answer_may_end_it() -> None:
    constraint = compile_constraint(regex="a?")
    assert [constraint.allows(token) for token in (END, TURN_END, CONTROL, 3 + ord("a"), 3 + ord("b"))] == [
        True,
        True,
        False,
        True,
        False,
    ]


def test_an_answer_is_finished_without_an_end_token() -> None:
    constraint = compile_constraint(ConstraintCompiler(ConstraintVocabulary(ending=False)), regex="ab")
    for letter in b"ab":
        assert not constraint.finished
        constraint.accept(3 + letter)
    assert constraint.finished


def test_masks_of_many_answers_are_those_of_each() -> None:
    sources: list[dict[str, Any]] = [{"regex": "a+"}, {"json_schema": {"type": "integer"}}, {"grammar": 'root ::= "x"'}]
    together = [compile_constraint(**source) for source in sources]
    compute_masks(together)
    for source, constraint in zip(sources, together, strict=True):
        expected = compile_constraint(**source).allowed_tokens()
        np.testing.assert_array_equal(constraint.allowed_tokens(), expected)


def test_one_answer_moves_no_other_of_the_same_grammar() -> None:
    first, second = compile_constraint(regex="ab"), compile_constraint(regex="ab")
    first.accept(3 + ord("a"))
    assert first.allows(3 + ord("b"))
    assert second.allows(3 + ord("a"))
    assert not second.allows(3 + ord("b"))


def test_a_free_answer_has_no_constraint() -> None:
    assert COMPILER.compile(Sampling()) is None
