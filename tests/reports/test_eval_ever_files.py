"""Every Eval Ever in a folder: a record and the samples of each variant, held against the published schemas."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
from pathlib import Path

import jsonschema
import pytest
from stored_run import answer, make_cases, plain_variants, store_run

from workbench.analysis.summary import summarize
from workbench.errors import FileError
from workbench.inference.types import Completion
from workbench.prompting.prompt import Message, Prompt
from workbench.prompting.tools import ToolCall
from workbench.reports.eval_datastore import write_datastore
from workbench.reports.eval_samples import list_skipped
from workbench.reports.registry import print_report
from workbench.runs.cell import Cell
from workbench.runs.cell_step import CellStep
from workbench.scoring.scorer import Score
from workbench.store.runs import MetricRecord

VARIABLE = "WORKBENCH_EEE_SCHEMAS"
"""Names the folder every_eval_ever/schemas of the package every-eval-ever 0.3.0."""
CASES = make_cases(8)
METRICS = (
    MetricRecord("exact_match", binary=True, threshold=1.0),
    MetricRecord("perplexity", lower_is_better=True, free=True),
)


def talk(case) -> Cell:
    """A conversation of two answers, with a call of a tool between them."""
    asked = CellStep(
        "turn 1",
        "turn",
        turn=1,
        before=(Message("user", "Cold?"),),
        calls=(ToolCall("weather", '{"city": "Oslo", "days": 2}', "c1"),),
        content="Let me look.",
        completion=Completion("Let me look. <call>"),
    )
    told = CellStep(
        "turn 1",
        "tool",
        turn=1,
        before=(Message("tool", "-3", name="weather", call_id="c1"),),
        completion=Completion(case.expected, thinking="Minus is cold."),
    )
    score = Score("exact_match", 1.0, case.expected, "The same.")
    return Cell("talk", case.number, Completion(case.expected, prompt_tokens=3), (score,), steps=(asked, told))


@pytest.fixture
def view(tmp_path: Path):
    cells = []
    for case in CASES:
        cells.append(answer("a", case, case.expected if case.number < 7 else "no", cached=case.number == 2))
        failed = case.number == 3
        cells.append(answer("b", case, "" if failed else case.expected, error="It died." if failed else ""))
        cells.append(talk(case))
    variants = plain_variants("a", "b", "talk")
    return store_run(tmp_path / "s.sqlite", variants, CASES, cells, METRICS, prompt=lambda _: Prompt("p", "{{ x }}"))


def write(view, folder: Path) -> dict[str, tuple[dict, list[dict]]]:
    """The record and the samples of each variant."""
    written = write_datastore(view, summarize(view), folder)
    found = {}
    for path in written:
        if path.suffix == ".json":
            record = json.loads(path.read_text())
            lines = (folder / record["detailed_evaluation_results"]["file_path"]).read_text().splitlines()
            found[record["source_metadata"]["additional_details"]["variant"]] = (record, list(map(json.loads, lines)))
    assert len(written) == 2 * len(found)
    return found


def test_the_samples_of_a_variant_are_those_of_its_record(view, tmp_path):
    found = write(view, tmp_path / "out")
    assert sorted(found) == ["a", "b", "talk"]
    for record, samples in found.values():
        held = record["detailed_evaluation_results"]
        data = (tmp_path / "out" / held["file_path"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == held["checksum"]
        assert len(samples) == held["total_rows"] == len(CASES)
        assert {one["evaluation_id"] for one in samples} == {record["evaluation_id"]}
        assert {one["model_id"] for one in samples} == {record["model_info"]["id"]}
        (result,) = record["evaluation_results"]
        assert {one["evaluation_result_id"] for one in samples} == {result["evaluation_result_id"]}
        counted = [one["evaluation"]["score"] for one in samples if one["metadata"].get("counted") != "no"]
        assert math.isclose(sum(counted) / len(counted), result["score_details"]["score"])


def test_a_sample_says_what_was_asked_answered_and_scored(view, tmp_path):
    found = write(view, tmp_path / "out")
    first, second, *_, last = found["a"][1]
    assert first["input"] == {"raw": "message 1", "reference": [CASES[0].expected]}
    assert first["output"] == {"raw": [CASES[0].expected]} and first["messages"] is None
    assert first["evaluation"] == {"score": 1.0, "is_correct": True}
    assert first["performance"]["latency_ms"] == pytest.approx(200)
    assert second["performance"] is None  # it was made in another run
    assert last["evaluation"] == {"score": 0.0, "is_correct": False}
    assert last["answer_attribution"][0]["extracted_value"] == "no"
    died = found["b"][1][2]
    assert died["error"] == "It died." and died["metadata"]["counted"] == "no"
    hashes = [[one["sample_hash"] for one in found[name][1]] for name in "ab"]
    assert hashes[0] == hashes[1]


def test_a_conversation_has_its_messages_and_calls(view, tmp_path):
    (sample, *_) = write(view, tmp_path / "out")["talk"][1]
    assert sample["interaction_type"] == "agentic" and sample["output"] is None
    assert [(one["turn_idx"], one["role"], one["content"]) for one in sample["messages"]] == [
        (0, "user", "Cold?"),
        (1, "assistant", "Let me look."),
        (2, "tool", "-3"),
        (3, "assistant", CASES[0].expected),
    ]
    assert sample["messages"][1]["tool_calls"] == [
        {"id": "c1", "name": "weather", "arguments": {"city": "Oslo", "days": "2"}}
    ]
    assert sample["messages"][2]["tool_call_id"] == ["c1"]
    assert sample["evaluation"]["num_turns"] == 1 and sample["evaluation"]["tool_calls_count"] == 1
    assert sample["answer_attribution"][0]["source"] == "messages[3].content"


def test_metrics_without_right_and_wrong_have_no_samples(view):
    assert list_skipped(view) == ("perplexity",)


def test_a_folder_is_never_written_over(view, tmp_path):
    write(view, tmp_path / "out")
    with pytest.raises(FileError, match="exists already"):
        write_datastore(view, summarize(view), tmp_path / "out")


def test_the_lines_of_all_variants_are_one_report(view):
    text = io.StringIO(newline="")
    print_report(view, summarize(view), "_samples.jsonl", text)
    assert len(text.getvalue().splitlines()) == 3 * len(CASES)


@pytest.mark.skipif(VARIABLE not in os.environ, reason=f"{VARIABLE} names no schemas")
def test_the_files_are_valid_by_the_published_schemas(view, tmp_path):
    schemas = Path(os.environ[VARIABLE])
    aggregate = json.loads((schemas / "eval.schema.json").read_text())
    instance = json.loads((schemas / "instance_level_eval.schema.json").read_text())
    assert aggregate["version"] == instance["version"] == "0.3.0"
    for record, samples in write(view, tmp_path / "out").values():
        jsonschema.Draft7Validator(aggregate).validate(record)
        for sample in samples:
            jsonschema.Draft7Validator(instance).validate(sample)
