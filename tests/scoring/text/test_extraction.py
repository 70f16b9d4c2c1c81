from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.datasets import Case
from workbench.errors import ScorerError
from workbench.scoring.factory import make_scorers
from workbench.scoring.text.extraction import STEPS, extract_text, make_steps
from workbench.scoring.text.json_text import JsonPath


def extract(spec, text):
    return extract_text(make_steps(spec), text)[0]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12 and then 3, so 36.", "36"),
        ("It costs $1,234.50!", "1234.50"),
        ("5-3 = 2", "2"),
        ("from 5 to -7", "-7"),
        ("x = −4", "-4"),
        ("about .5", ".5"),
        ("1,2,3", "3"),
        ("none", None),
        ("", None),
    ],
)
def test_the_last_number_is_found_and_spelled_plainly(text, number):
    assert extract("last_number", text) == number


def test_lines_markers_patterns_and_paths_are_found():
    text = 'Let me see.\nanswer: maybe 3\nHm.\n**Answer:** Lantern\nThanks {"a": {"b": [1, "two"]}}\n\n'
    assert extract("first_number", text) == "3"
    assert extract("first_line", text) == "Let me see."
    assert extract("final_line", text) == 'Thanks {"a": {"b": [1, "two"]}}'
    assert extract({"after": "Answer:"}, text) == "Lantern"
    assert extract({"regex": r"maybe (\d)"}, text) == "3"
    assert extract({"regex": {"pattern": r"\w+", "last": True}}, text) == "two"
    assert extract({"json": "$.a.b[1]"}, text) == "two"
    assert extract({"json": "a['b'][-2]"}, text) == "1"
    assert extract({"json": "a"}, text) == '{"b": [1, "two"]}'
    assert extract({"json": "a.c"}, text) is None


def test_steps_follow_one_another():
    text = "First 1 and 2.\nAnswer: 3 or 4\nThen 5."
    assert extract([{"after": "Answer:"}, "first_number"], text) == "3"
    assert extract_text(make_steps([{"after": "Answer:"}, {"regex": "x+"}]), text) == (
        None,
        "There is no match of 'x+' in the answer.",
    )


def test_a_pattern_that_would_run_for_ever_is_stopped():
    steps = make_steps({"regex": {"pattern": "(a|aa)+$", "timeout_seconds": 0.05}})
    with pytest.raises(TimeoutError, match=r"The search for match of '\(a\|aa\)\+\$' took too long on this answer."):
        extract_text(steps, "a" * 60 + "b")
    (scorer,) = make_scorers(
        [{"exact_match": {"extract": {"regex": {"pattern": "(a|aa)+$", "timeout_seconds": 0.05}}}}]
    )
    score = scorer.score("a" * 60 + "b", Case(1, {}, "a"))
    assert (score.applies, score.explanation[:14]) == (False, "The search for")


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("last_nummer", "did you mean last_number?"),
        ("after", "such as {after: 'Answer:'}"),
        ({"after": ""}, "needs a text"),
        ({"last_number": 1}, "takes no value"),
        ({"json": "a..b["}, "not a JSON path"),
        ({"json": 3}, "needs a path"),
        ({"regex": "("}, "missing )"),
        ({"regex": {"pattern": "a", "groop": 1}}, "groop"),
        ({"after": "a", "regex": "b"}, "expected one step, found 2"),
    ],
)
def test_what_is_wrong_with_a_step_is_told(spec, told):
    with pytest.raises(ScorerError, match="exact_match") as caught:
        make_scorers([{"exact_match": {"extract": spec}}])
    assert told in caught.value.message


def test_every_scorer_of_texts_judges_only_what_was_extracted():
    (scorer,) = make_scorers([{"exact_match": {"extract": "last_number", "extract_expected": "last_number"}}])
    score = scorer.score("2 and 2 is 4.", Case(1, {}, "#### 4"))
    assert (score.value, score.extracted) == (1, "4")
    nothing = scorer.score("four", Case(1, {}, "#### 4"))
    assert (nothing.value, nothing.applies, nothing.explanation) == (0, True, "There is no number in the answer.")
    assert not scorer.score("4", Case(1, {}, "four")).applies


def test_a_distance_to_nothing_found_is_that_of_an_empty_answer():
    (scorer,) = make_scorers([{"edit_distance": {"extract": "last_number"}}])
    score = scorer.score("four", Case(1, {}, "1234"))
    assert score.value == 4
    assert score.explanation.startswith("There is no number in the answer.")


@given(st.text())
def test_no_text_upsets_a_step(text):
    for spec in ("last_number", "first_line", {"after": "A:"}, {"json": "a.b[0]"}, {"regex": r"(\w)+"}):
        extract(spec, text)


@given(st.recursive(st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_an_empty_path_is_the_whole_value(value):
    assert JsonPath.parse("$").get(value) == value


def test_the_steps_are_listed_as_they_are_written():
    assert "last_number" in STEPS
    assert "{json: answer.value}" in STEPS
