from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest

from tests.synthesis.writer_model import WriterModel, write_rows
from workbench.datasets import load_cases
from workbench.datasets.spec import Dataset
from workbench.errors import DatasetError, SynthesisError
from workbench.inference.types import Completion
from workbench.synthesis.material import open_material
from workbench.synthesis.opening import begin_review, continue_review
from workbench.synthesis.request import SynthesisRequest
from workbench.synthesis.review import propose_out
from workbench.synthesis.synthesizer import Synthesizer

TOPICS = ["parcel", "invoice", "lamp", "password", "refund", "garden"]
TRAIN = [
    {"message": f"The {topic} of order {number} is late, says {number} times Ada", "expected": "ab"[number % 4 == 0]}
    for number, topic in enumerate(TOPICS * 2)
]
TEST = [{"message": f"Nobody answered my letter about the {topic}", "expected": "a"} for topic in TOPICS]


@pytest.fixture
def folder(tmp_path):
    write_rows(tmp_path, "train.jsonl", TRAIN)
    write_rows(tmp_path, "test.jsonl", TEST)
    return tmp_path


def synthesize(folder, answers, name="test.jsonl", **choices):
    source = folder / name
    material = open_material(source)
    out = str(folder / "more.jsonl")
    request = SynthesisRequest(str(source), "writer", **{"count": 2, "out": out, **choices})
    review = begin_review(request, material)
    model = WriterModel(answers)
    try:
        asyncio.run(Synthesizer(review, material, model).run())
    finally:
        review.close()
    return review, model


def row(text, label="a"):
    return {"message": text, "expected": label}


def echo_label(text):
    """An answer with the label that the call asks for."""
    return lambda request: row(text, request.sampling.json_schema["properties"]["expected"]["enum"][0])


def test_rows_are_shown_from_the_training_split_and_held_to_the_schema(folder):
    review, model = synthesize(folder, [echo_label("A wholly new story"), echo_label("Quite another tale of woe")])
    assert [one.variables for one in review.state.rows] == [
        {"message": "A wholly new story"}, {"message": "Quite another tale of woe"},
    ]  # fmt: skip
    assert review.state.paused == ""
    shown = model.requests[0].messages[1].content
    assert any(json.dumps(one) in shown for one in TRAIN)
    assert not any(one["message"] in shown for one in TEST)
    schema = model.requests[0].sampling.json_schema
    assert schema["required"] == ["message", "expected"]
    assert schema["additionalProperties"] is False


def test_every_dropped_row_is_counted_by_its_reason(folder):
    review, _ = synthesize(
        folder,
        [
            echo_label("A wholly new story"),
            echo_label("A wholly new stori"),  # like the first
            echo_label(TEST[2]["message"].upper()),  # an evaluation's
            echo_label(TRAIN[1]["message"] + "!"),  # there already
            "no JSON at all",
            row("A label that there is not", "z"),
            Completion('{"message": "It goes on and', stop_reason="length"),
            None,
            echo_label("Something else entirely, with a bicycle"),
        ],
        concurrency=1,
    )
    assert review.state.dropped == Counter(repeated=1, test=1, existing=1, invalid=2, cut=1, failed=1)
    assert [one.call for one in review.state.rows] == [0, 8]
    assert review.state.calls == 9


def test_what_a_round_brings_is_taken_in_the_order_of_the_calls(folder):
    texts = ["one story of a fox", "two bicycles and a goat", "three loaves of rye bread", "four empty theatres"]
    alone, _ = synthesize(folder, [echo_label(text) for text in texts], count=4, concurrency=1)
    (folder / "more.review.jsonl").unlink()
    together, _ = synthesize(folder, [echo_label(text) for text in texts], count=4, concurrency=4)
    assert [one.variables for one in together.state.rows] == [one.variables for one in alone.state.rows]


def test_balance_asks_for_the_rarest_labels_first(folder):
    given = Counter(one["expected"] for one in TRAIN)
    assert given == {"a": 9, "b": 3}
    texts = ["fox and hen", "rye bread today", "ninety theatres", "a goat in Paris", "blue paint on wood", "old maps"]
    review, _ = synthesize(folder, [echo_label(text) for text in texts], count=6, balance=True)
    assert [one.expected for one in review.state.rows] == ["b"] * 6


def test_it_ends_where_no_more_calls_may_be_made_and_says_so(folder):
    review, model = synthesize(folder, ["nonsense"] * 9, max_calls=5)
    assert len(model.requests) == 5
    assert review.state.paused == "0 of 2 rows after 5 calls, the most that are made"


def test_it_ends_where_the_model_does_nothing_but_fail(folder):
    review, model = synthesize(folder, [], count=50, concurrency=1)
    assert len(model.requests) == 5
    assert review.state.paused == "5 calls failed one after the other"
    assert review.state.last_drop.detail == "It fell. Try again."


def test_a_synthesis_goes_on_where_it_was_stopped_and_asks_what_it_would_have_asked(folder):
    texts = ["one story of a fox", "two bicycles and a goat", "three loaves of rye bread"]
    answers = [echo_label(text) for text in texts]
    whole, through = synthesize(folder, answers, count=3, concurrency=1)
    (folder / "more.review.jsonl").rename(folder / "whole.jsonl")
    stopped, _ = synthesize(folder, answers, count=3, concurrency=1, max_calls=1)
    assert len(stopped.state.rows) == 1
    text = stopped.path.read_text().replace('"max_calls":1', '"max_calls":9')
    stopped.path.write_text(text + '{"record":"propo')  # what a killed process leaves
    review, material = continue_review(stopped.path)
    model = WriterModel(answers[1:])
    asyncio.run(Synthesizer(review, material, model).run())
    review.close()
    assert [one.variables for one in review.state.rows] == [one.variables for one in whole.state.rows]
    assert [one.messages for one in model.requests] == [one.messages for one in through.requests[1:]]


def test_a_file_without_splits_says_that_its_rows_are_those_of_evaluations(tmp_path):
    write_rows(tmp_path, "cases.jsonl", TRAIN)
    material = open_material(tmp_path / "cases.jsonl")
    assert "There is no training split" in " ".join(material.notes)
    assert material.tests == ()


def test_a_column_called_origin_is_never_written_over(tmp_path):
    write_rows(tmp_path, "cases.jsonl", [{"message": "Oslo to Rome", "origin": "Oslo", "expected": "a"}])
    with pytest.raises(DatasetError, match="has a column origin of its own"):
        open_material(tmp_path / "cases.jsonl")


def test_typed_columns_keep_their_types(tmp_path):
    rows = [{"text": f"row {n} of many", "stars": n, "tags": ["x", "y"][: n % 3], "expected": "yes"} for n in range(9)]
    write_rows(tmp_path, "cases.jsonl", rows)
    answer = {"text": "never seen before", "stars": 4, "tags": ["z"], "expected": "yes"}
    review, model = synthesize(tmp_path, [answer, {**answer, "stars": "four"}], name="cases.jsonl", count=1)
    parts = model.requests[0].sampling.json_schema["properties"]
    assert parts["stars"] == {"type": "integer"}
    assert parts["tags"]["items"]["type"] == "string"
    assert review.state.rows[0].variables == {"text": "never seen before", "stars": "4", "tags": '["z"]'}


def test_accepted_rows_train_and_are_no_cases_of_an_evaluation(folder):
    review, _ = synthesize(folder, [echo_label("A wholly new story"), echo_label("Quite another tale of woe")])
    opened, _ = continue_review(review.path)
    for one in opened.state.rows:
        opened.decide(one.call, "accept")
    opened.close()
    with pytest.raises(DatasetError, match=r"Every row of .* is synthetic"):
        load_cases(Dataset("more.jsonl"), folder)
    assert len(load_cases(Dataset("more.jsonl", synthetic="include"), folder)) == 2


@pytest.mark.parametrize("name", ["test.more.jsonl", "validation.jsonl"])
def test_rows_are_never_written_where_scores_are_taken(folder, name):
    with pytest.raises(SynthesisError, match="named like a split that scores are taken on"):
        synthesize(folder, [], out=str(folder / name))


def test_the_file_that_is_proposed_is_no_split(folder):
    assert propose_out(folder / "test.jsonl").name == "synthetic-test.jsonl"
    assert propose_out(folder / "demo.bench.yaml").name == "synthetic-demo.jsonl"


def test_files_that_are_there_are_not_written_over(folder):
    (folder / "more.jsonl").write_text("mine\n")
    with pytest.raises(SynthesisError, match="is there already, and no review of it"):
        synthesize(folder, [])
    assert (folder / "more.jsonl").read_text() == "mine\n"
