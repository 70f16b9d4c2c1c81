"""JUnit XML and Every Eval Ever records of a run."""

from __future__ import annotations

import io
import json
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import msgspec
import pytest
from stored_run import answer, make_cases, plain_variants, store_run

from workbench import yaml_document
from workbench.analysis.summary import summarize
from workbench.errors import WorkbenchError
from workbench.prompting.prompt import Example, Prompt
from workbench.reports.registry import find_format, print_report
from workbench.runs.bench import Bench, Threshold
from workbench.runs.view import RunView
from workbench.store.runs import MetricRecord, change_run

TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
NUMBER, TEXT = {"type": "number"}, {"type": "string"}


def struct(required, **properties):
    return {"type": "object", "required": required.split(), "properties": properties}


UNCERTAINTY = struct(
    "",
    standard_error=struct("value", value=NUMBER, method=TEXT),
    confidence_interval=struct("lower upper", lower=NUMBER, upper=NUMBER, confidence_level=NUMBER, method=TEXT),
    standard_deviation=NUMBER,
    num_samples={"type": "integer"},
)
METRIC = struct(
    "lower_is_better",
    metric_id=TEXT,
    metric_name=TEXT,
    metric_unit=TEXT,
    lower_is_better={"type": "boolean"},
    score_type={"enum": ["binary", "continuous", "levels"]},
    min_score=NUMBER,
    max_score=NUMBER,
    additional_details=TEXTS,
) | {
    "if": {"required": ["score_type"], "properties": {"score_type": {"const": "continuous"}}},
    "then": {"required": ["min_score", "max_score"]},
}
GENERATION = {"temperature": {"type": ["null", "number"]}, "top_p": {"type": ["null", "number"]},
              "top_k": {"type": ["null", "number"]}, "max_tokens": {"type": "integer", "minimum": 1},
              "prompt_template": TEXT}  # fmt: skip
RESULT = struct(
    "evaluation_name source_data metric_config score_details",
    evaluation_result_id=TEXT,
    evaluation_name=TEXT,
    evaluation_timestamp=TEXT,
    source_data=struct(
        "dataset_name source_type", dataset_name=TEXT, source_type={"const": "other"}, additional_details=TEXTS
    ),
    metric_config=METRIC,
    score_details=struct("score", score=NUMBER, details=TEXTS, uncertainty=UNCERTAINTY),
    generation_config=struct(
        "",
        generation_args={"type": "object", "properties": GENERATION, "additionalProperties": False},
        additional_details=TEXTS,
    ),
)
SCHEMA = struct(
    "schema_version evaluation_id retrieved_timestamp source_metadata model_info eval_library evaluation_results",
    schema_version={"const": "0.3.0"},
    evaluation_id=TEXT,
    evaluation_timestamp=TEXT,
    retrieved_timestamp=TEXT,
    source_metadata=struct(
        "source_type source_organization_name evaluator_relationship",
        source_name=TEXT,
        source_type={"enum": ["documentation", "evaluation_run"]},
        source_organization_name=TEXT,
        evaluator_relationship={"enum": ["first_party", "third_party", "collaborative", "other"]},
        additional_details=TEXTS,
    ),
    eval_library=struct("name version", name=TEXT, version=TEXT),
    model_info=struct(
        "name id", name=TEXT, id=TEXT, inference_engine=struct("", name=TEXT, version=TEXT), additional_details=TEXTS
    ),
    evaluation_results={"type": "array", "items": RESULT, "minItems": 1},
) | {"additionalProperties": False}
"""What the published schema asks of the parts that are written here, in its names."""

CASES = make_cases(40)
METRICS = (
    MetricRecord("exact_match", binary=True, threshold=1.0),
    MetricRecord("perplexity", lower_is_better=True, free=True),
)


def make_view(tmp_path, cells, bench=None):
    prompt = Prompt("queues/a", "user:\n{{ message }}\n", examples=(Example("e", {"message": "x"}, "y"),))
    view = store_run(tmp_path / "s.sqlite", plain_variants("a", "b"), CASES, cells, METRICS, prompt=lambda _: prompt)
    if bench is not None:
        change_run(view.store, view.run.key, text=yaml_document.encode(bench))
    return RunView(view.store, view.id)


def write(view, suffix):
    text = io.StringIO(newline="")
    print_report(view, summarize(view), suffix, text)
    return text.getvalue()


def make_cells():
    right = [answer("a", case, case.expected if at < 30 else "no\x00", cached=at < 5) for at, case in enumerate(CASES)]
    others = [answer("b", case, case.expected) for case in CASES[1:]]
    return [*right, answer("b", CASES[0], "", error="It died."), *others]


def test_every_variant_is_a_valid_record_with_its_uncertainty(tmp_path):
    lines = write(make_view(tmp_path, make_cells()), ".eee.jsonl").splitlines()
    records = [json.loads(line) for line in lines]
    for record in records:
        jsonschema.Draft7Validator(SCHEMA).validate(record)
    first, second = (record["evaluation_results"] for record in records)
    (found,) = first
    assert found["score_details"]["score"] == 0.75
    held = found["score_details"]["uncertainty"]
    assert held["num_samples"] == 40
    assert held["confidence_interval"]["lower"] < 0.75 < held["confidence_interval"]["upper"]
    assert held["confidence_interval"]["method"] == "Wilson score interval"
    assert held["standard_error"]["value"] == pytest.approx(0.4385 / 40**0.5, abs=1e-4)
    assert found["metric_config"]["score_type"] == "binary"
    assert found["generation_config"]["additional_details"]["examples"] == "1"
    assert second[0]["score_details"]["details"]["failed"] == "1"
    assert second[0]["score_details"]["uncertainty"]["num_samples"] == 39
    assert records[0]["model_info"]["name"] == "desk"


def test_cases_are_tests_and_thresholds_are_tests(tmp_path):
    variants = tuple(plain_variants("a", "b"))
    wanted = {"exact_match": (Threshold(min=0.9), Threshold(min=0.5, variant="a"))}
    view = make_view(tmp_path, make_cells(), Bench(variants, scorers=("exact_match",), thresholds=wanted))
    root = ElementTree.fromstring(write(view, ".xml"))
    suites = {suite.get("name"): suite for suite in root}
    counts = {
        name: tuple(suite.get(key) for key in ("tests", "failures", "errors", "skipped"))
        for name, suite in suites.items()
    }
    assert counts == {
        "demo: a": ("40", "10", "0", "0"), "demo: b": ("40", "0", "1", "0"), "demo: thresholds": ("3", "1", "0", "0"),
    }  # fmt: skip
    failure = suites["demo: a"].find("testcase[@name='case 31']/failure")
    assert "exact match 0" in failure.get("message")
    assert "Answer: no\ufffd" in failure.text
    assert suites["demo: b"].find("testcase/error").text == "It died."
    (missed,) = suites["demo: thresholds"].iter("failure")
    assert "exact_match of a: expected at least 0.9, found 0.75" in missed.text
    assert float(suites["demo: a"].find("testcase[@name='case 1']").get("time")) == 0  # from the cache


def test_a_cell_without_a_score_is_skipped_and_not_passed(tmp_path):
    cell = answer("a", CASES[0], "yes")
    lost = msgspec.structs.replace(cell.scores[0], applies=False, unscored="lost", explanation="It took too long.")
    view = make_view(tmp_path, [msgspec.structs.replace(cell, scores=(lost,))])
    (skipped,) = ElementTree.fromstring(write(view, ".xml")).iter("skipped")
    assert skipped.text == "No exact match. It took too long."


def test_the_longest_ending_of_a_name_decides():
    assert find_format(Path("run.eee.jsonl")).title == "Every Eval Ever"
    assert find_format(Path("RUN.XML")).title == "JUnit XML"
    with pytest.raises(WorkbenchError, match="no report format"):
        find_format(Path("run.jsonl"))
    with pytest.raises(WorkbenchError, match="no report format"):
        find_format(Path(".xml"))
