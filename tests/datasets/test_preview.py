from __future__ import annotations

import json

import pytest

from workbench.datasets import describe
from workbench.datasets.spec import Dataset
from workbench.errors import DatasetError


def test_a_preview_says_how_a_file_would_be_read(tmp_path):
    rows = [{"id": n, "text": f"text {n % 4} {'x' * 300}", "label": "AB"[n % 2]} for n in range(100)]
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "train.jsonl").write_text("{}\n")
    seen = describe(Dataset("test.jsonl"), tmp_path)
    assert (seen.format, seen.layout, seen.expected, seen.rows, seen.complete) == (
        "jsonl",
        "text-label",
        "label",
        100,
        True,
    )
    assert [(origin.variable, origin.source) for origin in seen.mapping] == [("id", "id"), ("text", "text")]
    assert [column.name for column in seen.columns] == ["id", "text", "label"]
    assert seen.columns[0].samples == ("0", "1", "2")
    assert len(seen.columns[1].samples[0]) == 200
    assert (seen.splits, seen.split) == (("test", "train"), "test")
    assert [case.number for case in seen.cases] == [1, 2, 3]


def test_a_preview_shows_the_likeliest_split_where_none_is_chosen(tmp_path):
    (tmp_path / "a.json").write_text('{"train": [{"a": "1"}], "test": [{"a": "2"}]}')
    seen = describe(Dataset("a.json"), tmp_path)
    assert (seen.splits, seen.split, seen.cases[0].variables) == (("train", "test"), "test", {"a": "2"})
    with pytest.raises(DatasetError, match="has no split dev"):
        describe(Dataset("a.json", split="dev"), tmp_path)


def test_what_is_wrong_is_shown_beside_what_can_be_read(tmp_path):
    said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    lines = [
        json.dumps({"messages": said}),
        "broken",
        json.dumps({"messages": said[1:]}),
        json.dumps({"messages": said}),
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    seen = describe(Dataset("a.jsonl"), tmp_path)
    assert seen.problems == ("line 2, column 1: Expecting value", "line 3: messages: no turn of a user")
    assert [case.number for case in seen.cases] == [1, 4]
    assert seen.layout == "messages"
    assert ("input", "what the user said last in messages") in [(o.variable, o.source) for o in seen.mapping]


def test_a_column_that_is_not_there_is_shown_as_a_problem(tmp_path):
    (tmp_path / "a.csv").write_text("body,queue\nx,y\n")
    seen = describe(Dataset("a.csv", {"message": "bodi"}), tmp_path)
    assert seen.problems == ("no column bodi; did you mean body? The columns are: body, queue.",)
