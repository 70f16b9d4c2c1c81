from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.datasets import Case
from workbench.errors import MissingVariablesError, PromptError
from workbench.prompting.prompt import Example, Prompt
from workbench.prompting.render import find_variables, render
from workbench.prompting.values import JsonText, Kind, read_json, write_json, write_value

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def fill(body: str, kinds: dict[str, Kind] | None = None, **values: object) -> str:
    (message,) = render(Prompt("p", f"user:\n{body}", kinds=kinds or {}), values)
    return message.content


@pytest.mark.parametrize(
    ("body", "values", "wanted"),
    [
        ("{{ doc.title }}", {"doc": '{"title": "Refund policy"}'}, "Refund policy"),
        ("{{ doc['title'] }}", {"doc": {"title": "Refund policy"}}, "Refund policy"),
        ("{{ doc.items }}{{ doc.keys }}", {"doc": '{"items": 3, "keys": [1]}'}, "3[1]"),
        ("{% for k, v in doc.items() %}{{ k }}={{ v }};{% endfor %}", {"doc": '{"a": 1, "items": 2}'}, "a=1;items=2;"),
        ("{{ doc.a.b[1].c }}", {"doc": '{"a": {"b": [0, {"c": "deep"}]}}'}, "deep"),
        ("{% for c in choices %}{{ loop.index }}) {{ c }} {% endfor %}", {"choices": '["a","b"]'}, "1) a 2) b "),
        ("{{ choices | join(', ') }}", {"choices": ["a", "b"]}, "a, b"),
        ("{{ choices | length }} {{ choices[-1] }}", {"choices": ["a", "b"]}, "2 b"),
        ("{% if 'a' in choices %}yes{% endif %}", {"choices": '["a"]'}, "yes"),
        ("{% if flag %}on{% else %}off{% endif %}", {"flag": False}, "off"),
        ("{{ flag }} {{ flag ~ '!' }}", {"flag": False}, "false false!"),
        ("{% if n > 3 %}{{ n + 1 }}{% endif %}", {"n": 4}, "5"),
        ("{{ none_of_it }}|", {"none_of_it": None}, "|"),
        ("{{ text }}", {"text": ' ["a",  1.50] '}, ' ["a",  1.50] '),
        ("{{ price }} {{ price * 2 }}", {"price": read_json("1.50")}, "1.50 3.0"),
        ("{{ items }}", {"items": [True, None, 1, "é"]}, '[true, null, 1, "é"]'),
        ("{{ text }}", {"text": "[INST] not JSON [/INST]"}, "[INST] not JSON [/INST]"),
        ("{{ text.upper() }} {{ text.split(',')[0] }}", {"text": "a,b"}, "A,B a"),
        ("{% if number is number and flag is true %}typed{% endif %}", {"number": 1, "flag": True}, "typed"),
    ],
)
def test_a_value_has_its_type_in_a_template_and_prints_as_its_text(body: str, values: dict[str, object], wanted: str):
    assert fill(body, **values) == wanted


@pytest.mark.parametrize(
    "body", ["{{ doc.title }}", "{{ doc['title'] }}", "{{ doc | attr('title') }}", "{{ doc.count }}"]
)
def test_a_text_has_no_fields_and_its_methods_are_none(body: str) -> None:
    with pytest.raises(PromptError, match="has no attribute"):
        fill(body, doc="plain text")


@pytest.mark.parametrize(
    "body", ["{{ doc.items }}", "{{ doc.list }}", "{{ tags.append }}", "{{ n.real }}", "{{ tags.text }}"]
)
def test_methods_and_inner_workings_of_values_are_no_fields(body: str) -> None:
    with pytest.raises(PromptError, match="has no attribute"):
        fill(body, doc={"a": 1}, tags=["a"], n=1)


@pytest.mark.parametrize(
    ("kind", "text", "body", "wanted"),
    [
        ("integer", "5", "{{ x + 1 }}", "6"),
        ("float", "1.50", "{{ x }} {{ x > 1 }}", "1.50 true"),
        ("boolean", "False", "{{ 'yes' if x else 'no' }}", "no"),
        ("string", '["a"]', "{{ x | length }}", "5"),
        ("array", '["a"]', "{{ x | length }}", "1"),
        ("integer", "five", "{{ x }}", "five"),
        ("boolean", "perhaps", "{{ x }}", "perhaps"),
    ],
)
def test_a_declared_kind_says_how_a_text_is_read(kind: Kind, text: str, body: str, wanted: str) -> None:
    assert fill(body, {"x": kind}, x=text) == wanted


def test_a_case_keeps_the_types_of_its_columns_and_its_texts() -> None:
    case = Case(1, {"flag": JsonText("false"), "price": JsonText("1.50"), "text": "false"})
    assert case.variables == {"flag": "false", "price": "1.50", "text": "false"}
    assert case.typed == ("flag", "price")
    again = msgspec.json.decode(msgspec.json.encode(case), type=Case)
    assert again == case
    assert (again.values["flag"], again.values["text"]) == (False, "false")
    typed_over = msgspec.structs.replace(case, variables={**case.variables, "flag": "true", "price": "unknown"})
    assert (typed_over.values["flag"], typed_over.values["price"]) == (True, "unknown")


def test_an_example_keeps_its_types_in_turns_and_inline() -> None:
    example = Example("e1", {"urgent": JsonText("false"), "tags": JsonText('["a"]')}, "x")
    body = "user:\n{% if urgent %}now{% else %}later{% endif %}{{ tags[0] }}"
    turns = render(Prompt("p", body, placement="turns"), {"urgent": True, "tags": ["b"]}, (example,))
    assert [message.content for message in turns] == ["latera", "x", "nowb"]
    inline = Prompt("p", "user:\n{% for e in examples %}{{ e.tags[0] }}{{ e.urgent }}{% endfor %}", placement="inline")
    assert render(inline, {}, (example,))[0].content == "afalse"


@pytest.mark.parametrize(
    "text", ["[1, NaN]", '{"a": Infinity}', "[" * 3000 + "]" * 3000, "[" * 150 + "]" * 150, "[1" + "0" * 5000 + "]"]
)
def test_what_is_no_json_or_cannot_be_held_stays_text(text: str) -> None:
    assert read_json(text) == text
    assert fill("{{ x }}", x=text) == text


@given(JSON)
def test_any_json_value_is_read_back_from_its_text(value: object) -> None:
    text = write_json(value)
    assert json.loads(text) == value
    assert read_json(text) == value


@given(JSON)
def test_any_value_prints_as_a_text(value: object) -> None:
    assert fill("<{{ x }}>", x=value) == f"<{write_value(value)}>"


def test_a_mark_inside_a_json_text_brings_no_role() -> None:
    messages = render(Prompt("p", "user:\n{{ x[0] }}"), {"x": '["\\ufdd0\\ufdd1\\ufdd2 system"]'})
    assert [message.role for message in messages] == ["user"]


@pytest.mark.parametrize(
    "body", ["{{ range }}", "{% for x in range %}{{ x }}{% endfor %}", "{{ dict.title }}", "{{ namespace }}"]
)
def test_a_global_that_is_not_called_is_a_variable_like_any_other(body: str) -> None:
    with pytest.raises(MissingVariablesError) as caught:
        fill(body)
    (name,) = caught.value.names
    assert name in find_variables(Prompt("p", body))
    assert fill("{{ range }} {{ range(3) | join }}", range="5 to 7") == "5 to 7 012"
    assert fill("{% macro range(a) %}<{{ a }}>{% endmacro %}{{ range(3) }}") == "<3>"
    assert find_variables(Prompt("p", "{{ range(3) }}{{ dict(a=1) }}")) == ()
