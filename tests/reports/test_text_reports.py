"""JSON and Markdown."""

from __future__ import annotations

import json
import math

import msgspec
from stored_run import answer, make_cases, plain_variants, store_run

from workbench.analysis.summary import Summary, summarize
from workbench.reports.json import encode, render_json
from workbench.reports.markdown import render_markdown

CASES = make_cases(40)


def summary_of(tmp_path, names=("a", "b")):
    cells = [
        answer(name, case, (case.expected or "") if at or case.number % 3 else "no")
        for case in CASES
        for at, name in enumerate(names)
    ]
    return summarize(store_run(tmp_path / "s.sqlite", plain_variants(*names), CASES, cells))


def test_json_has_the_promised_shape_and_nothing_else(tmp_path):
    summary = summary_of(tmp_path)
    told = json.loads(render_json(summary))
    assert list(told) == ["run", "variants", "pairs", "notes", "bench", "cases", "best", "metrics"]
    assert [list(one) for one in told["variants"]] == [
        [
            "name",
            "n",
            "failed",
            "cached",
            "cut",
            "cut_in_reasoning",
            "unscored",
            "seen",
            "scores",
            "dataset_scores",
            "latency",
            "tokens",
            "tokens_per_second",
            "cost_per_thousand",
            "thought",
            "kind",
        ]
    ] * 2
    assert list(told["variants"][0]["scores"]["exact_match"]) == ["value", "low", "high", "n"]
    keys = ["a", "b", "metric", "difference", "low", "high", "p", "verdict", "n", "p_uncorrected", "family", "test"]
    more = ["effect", "a_only", "b_only", "needed_cases", "needed_least", "needed_most"]
    assert [list(one) for one in told["pairs"]] == [keys + more]
    assert told["variants"][0]["latency"]["p50"] == 0.2
    assert told["variants"][0]["tokens"] == {"in": 50.0, "out": 2.0, "thinking": 0.0}
    assert told["pairs"][0]["test"] == "McNemar's exact test"
    assert told["pairs"][0]["effect"]["name"] == "Cohen's g"
    assert told["pairs"][0]["verdict"] == "better"


def test_what_is_not_known_is_null_in_json(tmp_path):
    summary = summary_of(tmp_path)
    pair = msgspec.structs.replace(summary.pairs[0], difference=math.nan, low=math.nan, high=math.inf)
    told = json.loads(render_json(msgspec.structs.replace(summary, pairs=(pair,))))
    assert (told["pairs"][0]["difference"], told["pairs"][0]["low"], told["pairs"][0]["high"]) == (None, None, None)


def test_details_hold_the_whole_summary(tmp_path):
    summary = summary_of(tmp_path)
    told = json.loads(encode(summary))
    assert set(told) == set(Summary.__struct_fields__)
    assert told["pairs"][0]["effect"]["name"] == "Cohen's g"


def test_markdown_answers_in_words_and_shows_the_numbers(tmp_path):
    said = render_markdown(summary_of(tmp_path))
    assert "b is better than a" in said
    (row,) = (line for line in said.splitlines() if line.startswith("| **b** |"))
    assert row.startswith("| **b** | 1.00 (0.91 – 1.00) |") and "| 40 | 50 → 2 | 200 ms | 200 ms |" in row
    assert "## Confusion matrix of a" in said


def test_names_and_labels_stand_as_text_in_markdown(tmp_path):
    said = render_markdown(summary_of(tmp_path, ("a|b", "<script>*x*")))
    assert "a\\|b" in said and "\\<script\\>\\*x\\*" in said
    assert "<script>" not in said
    rows = [line for line in said.splitlines() if line.startswith("| ") and "a\\|b" in line]
    assert all(row.replace("\\|", "").count("|") == said.splitlines()[4].count("|") for row in rows[:1])


def test_a_summary_without_anything_is_still_a_report():
    assert "Nothing has been scored yet" in render_markdown(Summary())
    assert json.loads(render_json(Summary())) == {
        "run": "", "variants": [], "pairs": [], "notes": [], "bench": "", "cases": 0, "best": None, "metrics": [],
    }  # fmt: skip
