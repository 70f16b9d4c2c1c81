"""Scores by the values of a column, and what several answers to a case are worth together."""

from __future__ import annotations

import json
from math import comb

import msgspec
import pytest
from stored_run import answer, make_cases, plain_variants, store_run

from workbench.analysis.slice_findings import list_slice_findings
from workbench.analysis.summary import summarize
from workbench.cli.summary_table import print_summary
from workbench.reports.html import render_html
from workbench.reports.json import render_json
from workbench.reports.markdown import render_markdown
from workbench.store.runs import MetricRecord


def label(case, language):
    return msgspec.structs.replace(case, variables={**case.variables, "language": language})


def make_sliced(tmp_path):
    """On all cases b is better; in German a is."""
    cases = [label(case, "de" if at < 30 else "en") for at, case in enumerate(make_cases(100))]
    cases[99] = make_cases(100)[99]  # one without a language
    cells = []
    for at, case in enumerate(cases):
        a_right, b_right = (at % 10 < 9, at % 10 < 2) if at < 30 else (at % 10 < 1, at % 10 < 9)
        cells += [answer(name, case, case.expected if ok else "no") for name, ok in (("a", a_right), ("b", b_right))]
    return store_run(tmp_path / "s.sqlite", plain_variants("a", "b"), cases, cells)


def test_a_slice_has_scores_intervals_and_verdicts_of_its_own(tmp_path, capsys):
    summary = summarize(make_sliced(tmp_path), ("language",))
    assert summary.best == "b"
    (table,) = summary.slices
    assert [(one.value, one.cases) for one in table.slices] == [("en", 69), ("de", 30)]
    assert table.missing == 1
    english, german = table.slices
    assert german.scores["a"]["exact_match"].value == pytest.approx(0.9)
    assert german.scores["a"]["exact_match"].low < 0.9 < german.scores["a"]["exact_match"].high
    (pair,) = german.pairs
    assert (pair.a, pair.b, pair.verdict, pair.family, pair.n) == ("b", "a", "better", 2, 30)
    assert english.pairs[0].verdict == "worse"
    assert pair.p_adjusted >= pair.p
    said = " ".join(list_slice_findings(summary.slices))
    assert "For language = de, a is better than b by 0.700" in said
    print_summary(summary)
    out = capsys.readouterr().out
    assert "0.90 (0.74–0.97, better)" in out
    assert "1 case has no language." in out
    assert "| de | 30 | 0.90 (0.74–0.97, better) | 0.20 (0.10–0.37) |" in render_markdown(summary)
    told = json.loads(render_json(summary))["slices"][0]
    assert told["slices"][1]["scores"]["a"]["exact_match"]["value"] == pytest.approx(0.9)


def test_a_column_that_no_case_has_is_said(tmp_path):
    summary = summarize(make_sliced(tmp_path), ("country",))
    assert list(list_slice_findings(summary.slices)) == ["No case has a column 'country' to make slices by."]


def test_rare_values_are_counted(tmp_path):
    cases = [label(case, f"l{at % 20}") for at, case in enumerate(make_cases(40))]
    view = store_run(tmp_path / "s.sqlite", plain_variants("a"), cases, [answer("a", case, "no") for case in cases])
    (table,) = summarize(view, ("language",)).slices
    assert (len(table.slices), table.others, table.missing) == (12, 16, 0)


RIGHT = (4, 3, 2, 1, 0)
"""right answers of five, by the case's number modulo 5"""


def make_repeated(tmp_path, skip=()):
    cases = make_cases(40)
    cells = [
        answer("a", case, case.expected if repeat < RIGHT[at % 5] else f"wrong {repeat % 2}", repeat)
        for at, case in enumerate(cases)
        for repeat in range(5)
        if (at, repeat) not in skip
    ]
    return store_run(tmp_path / "s.sqlite", plain_variants("a"), cases, cells)


def test_pass_at_k_is_unbiased_and_majority_is_of_answers(tmp_path, capsys):
    view = make_repeated(tmp_path)
    summary = summarize(view)
    assert "<h2>Several answers to a case</h2>" in render_html(view, summary)
    (found,) = summary.repeats
    assert found.repeats == 5
    assert list(found.pass_at) == [1, 2, 4, 5]
    for count, estimate in found.pass_at.items():
        expected = sum(1 - comb(5 - right, count) / comb(5, count) for right in RIGHT) / 5
        assert estimate.value == pytest.approx(expected)
        assert estimate.n == 40
    assert found.best.value == found.pass_at[5].value == pytest.approx(0.8)
    assert found.majority.value == pytest.approx(vote())
    assert found.majority.low < found.majority.value < found.majority.high
    print_summary(summary)
    assert "pass@4" in capsys.readouterr().out
    assert json.loads(render_json(summary))["repeats"][0]["pass_at"]["1"]["value"] == pytest.approx(0.4)


def vote():
    """The same of the five kinds of cases, answer by answer."""
    total = 0.0
    for right in RIGHT:
        answers = ["right" if repeat < right else f"wrong {repeat % 2}" for repeat in range(5)]
        most = max(map(answers.count, answers))
        tied = {one for one in answers if answers.count(one) == most}
        total += ("right" in tied) / len(tied)
    return total / 5


def test_cases_that_lack_an_answer_are_left_out_and_counted(tmp_path, capsys):
    summary = summarize(make_repeated(tmp_path, skip={(0, 4), (7, 2)}))
    assert (summary.repeats[0].incomplete, summary.repeats[0].best.n) == (2, 38)
    print_summary(summary)
    assert "2 cases lack answers or scores" in " ".join(capsys.readouterr().out.split())


def test_a_run_without_repeats_has_none_and_lower_may_be_better(tmp_path):
    cases = make_cases(4)
    view = store_run(tmp_path / "s.sqlite", plain_variants("a"), cases, [answer("a", case, "no") for case in cases])
    assert summarize(view).repeats == ()
    metric = (MetricRecord("exact_match", lower_is_better=True, free=True),)
    cells = [answer("a", case, case.expected if repeat else "no", repeat) for case in cases for repeat in range(2)]
    view = store_run(tmp_path / "t.sqlite", plain_variants("a"), cases, cells, metric)
    (found,) = summarize(view).repeats
    assert (found.best.value, found.pass_at, found.majority) == (0.0, {}, None)
