from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench.datasets import load_cases
from workbench.datasets.spec import Dataset
from workbench.errors import PromptError
from workbench.prompting.prompt import Prompt
from workbench.runs.bench import Variant
from workbench.runs.inputs import check_inputs, find_input_warnings, is_same_for_all, list_columns

VARIANT = Variant("plain", "queues/plain", "desk")


def write_rows(folder: Path, *rows: dict[str, object]) -> None:
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_default_never_stands_in_for_a_column_that_the_dataset_lacks(tmp_path: Path) -> None:
    write_rows(tmp_path, {"message": "a", "label": "x"}, {"message": "b", "label": "y"})
    dataset = Dataset("a.jsonl", expected="label")
    columns = list_columns(load_cases(dataset, tmp_path))
    prompt = Prompt("queues/plain", "user:\n{{ question }}", defaults={"question": "What is the meaning of life?"})
    with pytest.raises(PromptError) as caught:
        check_inputs(prompt, columns, dataset)
    assert "asks for question" in caught.value.message and "message" in caught.value.message
    assert "columns: {question: COLUMN}" in caught.value.message
    assert "defaults: [question]" in caught.value.hint


def test_a_mapped_column_a_wanted_default_and_a_row_without_a_value_are_fine(tmp_path: Path) -> None:
    write_rows(
        tmp_path, {"message": "a", "tone": None, "expected": "x"}, {"message": "b", "tone": "kind", "expected": "y"}
    )
    prompt = Prompt("p", "user:\n{{ question }} {{ tone }}", defaults={"question": "Life?", "tone": "plain"})
    mapped = Dataset("a.jsonl", columns={"question": "message", "tone": "tone"})
    check_inputs(prompt, ("question", "tone"), mapped)
    kept = Dataset("a.jsonl", defaults=("question",))
    check_inputs(prompt, list_columns(load_cases(kept, tmp_path)), kept)
    with pytest.raises(PromptError, match="question"):
        check_inputs(prompt, list_columns(load_cases(Dataset("a.jsonl"), tmp_path)), Dataset("a.jsonl"))


def test_a_prompt_that_is_the_same_for_all_cases_is_warned_of(tmp_path: Path) -> None:
    write_rows(tmp_path, *({"message": f"text {number}", "expected": "x"} for number in range(500)))
    cases = load_cases(Dataset("a.jsonl"), tmp_path)
    same = Prompt("p", "user:\nHello {{ name | default('you') }}", unsupported="`tools` (the model is not told of any)")
    other = Prompt("q", "user:\n{{ message }}")
    assert is_same_for_all(VARIANT, same, cases) and not is_same_for_all(VARIANT, other, cases)
    told = list(find_input_warnings([(VARIANT, same), (VARIANT, other)], cases))
    assert told[0] == "Not used of the prompt p: `tools` (the model is not told of any)."
    assert "plain sends the same prompt for all 200 cases looked at: p asks for name" in told[1]
    assert "the cases have message" in told[1]
    assert len(told) == 2
    assert list(find_input_warnings([(VARIANT, same)], cases[:1])) == told[:1]


def test_rows_that_differ_late_are_no_warning(tmp_path: Path) -> None:
    write_rows(tmp_path, *({"message": "same"} for _ in range(50)), {"message": "other"})
    assert not is_same_for_all(VARIANT, Prompt("p", "user:\n{{ message }}"), load_cases(Dataset("a.jsonl"), tmp_path))
