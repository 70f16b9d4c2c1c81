"""JSON found where it is meant."""

from __future__ import annotations

import time

import pytest

from workbench.datasets import Case
from workbench.scoring.factory import make_scorers
from workbench.scoring.judge_replies import parse_rating
from workbench.scoring.text.json_text import JsonPath, find_object, find_value, read_json


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 2}',
        '\ufeff {"a": 2}\n',
        '```json {"a": 2} ```',
        '```{"a": 2}```',
        '````json\n{"a": 2}\n````',
        '~~~\n{"a": 2}\n~~~',
        '```application/json\n{"a": 2}\n```',
        '```json title="x.json"\n{"a": 2}\n```',
        '```json\r\n{"a": 2}\r\n```\n',
        '```json\n{"a": 2}',
        '  ```JSON5\n\n{"a": 2}\n\n  ```',
    ],
)
def test_a_fence_of_any_form_around_the_whole_answer_is_taken_off(text):
    found = read_json(text)
    assert (found.value, found.text, found.problem) == ({"a": 2}, '{"a": 2}', "")


@pytest.mark.parametrize(
    "text", ['Here: {"a": 2}', '```json\n{"a": 2}\n```\nThat is it.', "```\n```", "``` ```", "{'a': 2}"]
)
def test_anything_else_beside_the_value_is_no_json(text):
    assert read_json(text).problem


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("MyField", 'Reasoning: []{\n  "MyField": "yes"\n}', "yes"),
        ("answer", 'Draft {"answer": 1}, note {"b": 2}. Final {"answer": 3} [see 4]', 3),
        ("answer", r"\frac{1}{2} so {x} and " * 800 + '{"answer": 7}', 7),
        ("answer", 'The set {1, 2} gives\n```json\n{"answer": "two\nlines"}\n```', "two\nlines"),
        ("answer", '[[{"answer": 1}]] is it', 1),
        ("a.b", '{"a": {"b": 1}} or {"a": 2}', 1),
        ("answer", '{"answer": 1', None),
        ("$", 'As in [1]: {"a": 1} (see [2])', {"a": 1}),
        ("$", "```json\n[1]\n``` and {}", [1]),
        ("$", "It is [1, 2].", [1, 2]),
        ("$", "nothing", None),
    ],
)
def test_the_value_that_is_meant_is_found_in_other_text(path, text, value):
    assert find_value(text, JsonPath.parse(path)) == value


def test_the_object_with_most_of_the_fields_is_meant_and_the_last_of_equals():
    text = 'First {"name": "x"} then {"name": "y", "day": 1}, {"note": 1}, [{"name": "z", "day": 2}]'
    assert find_object(text, ["name", "day"]).value == {"name": "z", "day": 2}
    assert find_object(text).value == {"name": "z", "day": 2}


def test_fields_are_compared_at_any_depth():
    (scorer,) = make_scorers(["json_fields"])
    case = Case(1, {}, '{"who": {"name": "Ada Lund", "tags": ["a", "b"]}, "n": 1, "yes": true}')
    same = 'So: {"who": {"tags": ["A", "b."], "name": "ada lund"}, "n": 1.0, "yes": true}'
    assert scorer.score(same, case).value == 1
    assert scorer.score('{"who": {"name": "Ada Lund", "tags": ["b", "a"]}, "n": true, "yes": 1}', case).value == 0


@pytest.mark.parametrize("depth", [300, 480, 900, 990])
def test_an_object_may_be_nested_deeply(depth):
    (scorer,) = make_scorers(["json_fields"])
    text = '{"a": 1, "b": ' + "[" * depth + "]" * depth + "}"
    for expected in ('{"a": 1}', text):
        score = scorer.score(text, Case(1, {}, expected))
        assert score.value == 1 or not score.applies or "recursion" in score.explanation
    assert parse_rating(text, "a", (1, 2)).choice in (1, None)


def test_names_have_one_unicode_form():
    (scorer,) = make_scorers(["json_fields"])
    assert scorer.score('{"pre\u0301nom": {"e\u0301": "a"}}', Case(1, {}, '{"prénom": {"é": "a"}}')).value == 1
    assert find_value('{"pre\u0301nom": "Ada"}', JsonPath.parse("prénom")) == "Ada"


def test_fields_that_the_expected_object_lacks_do_not_count():
    (scorer,) = make_scorers([{"json_fields": {"fields": ["day", "name"]}}])
    assert scorer.score('{"name": "x"}', Case(1, {}, '{"name": "x"}')).value == 1
    lacking = scorer.score("{}", Case(1, {}, '{"other": 1}'))
    assert (lacking.applies, lacking.explanation) == (False, "The expected object has none of the fields day, name.")
    (every,) = make_scorers(["json_fields"])
    assert not every.score("{}", Case(1, {}, "{}")).applies


@pytest.mark.parametrize("piece", ['{"a":', '["', "[", "[1,", '{"a":1,', "```\n"])
def test_an_answer_made_of_brackets_takes_no_time(piece):
    begun = time.process_time()
    find_value(piece * 30_000, JsonPath.parse("a.b"))
    assert time.process_time() - begun < 10
