from __future__ import annotations

import json

import pytest

from workbench.datasets import Case
from workbench.errors import ScorerError
from workbench.scoring.factory import make_scorers

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
}


def make(folder=None, **options):
    (scorer,) = make_scorers([{"json_schema": options}], folder)
    return scorer


def test_an_answer_is_held_to_a_schema_and_every_fault_is_told():
    scorer = make(schema=SCHEMA)
    assert scorer.score('```json\n{"name": "Ada", "age": 3}\n```', Case(1, {})).value == 1
    score = scorer.score('{"age": -1}', Case(1, {}))
    assert score.value == 0
    assert score.explanation.splitlines() == [
        "2 violations of the schema.",
        "$.age: -1 is less than the minimum of 0",
        "$: 'name' is a required property",
    ]
    assert scorer.score("no", Case(1, {})).explanation.startswith("Not JSON")


def test_a_schema_may_stand_in_a_file(tmp_path):
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    assert make(tmp_path, file="schema.json").score('{"name": "Ada"}', Case(1, {})).value == 1


def test_a_schema_never_goes_to_the_network():
    scorer = make(schema={"$ref": "http://127.0.0.1:9/schema.json"})
    score = scorer.score("{}", Case(1, {}))
    assert not score.applies
    assert score.explanation == (
        "The schema cannot be applied: a reference leads nowhere, and none is fetched:"
        " Unresolvable: http://127.0.0.1:9/schema.json."
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "expected either `schema` or `file`"),
        ({"schema": {}, "file": "a"}, "expected either"),
        ({"schema": {"type": "objekt"}}, "the schema cannot be used: $.type"),
        ({"file": "nowhere.json"}, "No such file: `nowhere.json`"),
        ({"file": "broken.json"}, "is not a JSON schema"),
        ({"file": "wrong.json"}, "the schema cannot be used"),
    ],
)
def test_a_schema_that_is_none_is_told(tmp_path, options, told):
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "wrong.json").write_text('{"type": 3}')
    with pytest.raises(ScorerError) as caught:
        make(tmp_path, **options)
    assert told in caught.value.message
