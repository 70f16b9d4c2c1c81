"""CSV, Parquet and HTML files of a run."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import math
import re
from html.parser import HTMLParser

import msgspec
import pyarrow.parquet as pq
import pytest
from stored_run import answer, make_cases, plain_variants, store_run

from workbench.analysis.summary import PromptSensitivity, Summary, summarize
from workbench.errors import FileError, WorkbenchError
from workbench.reports import registry
from workbench.reports.html import render_html
from workbench.reports.registry import find_format, print_report, report_formats, write_report

CASES = make_cases(12)
EVIL = '</pre><script>alert("x")</script><img src=x onerror=alert(1)> {{ 7 * 7 }} \x1b[31m\u202e'


def make_view(tmp_path, cells=None, cases=CASES, names=("a", "b")):
    cells = cells or [answer(name, case, case.expected if name == "b" else "no") for case in cases for name in names]
    return store_run(tmp_path / "s.sqlite", plain_variants(*names), cases, cells)


class ReportPage(HTMLParser):
    """The tags of a page, and the texts that stand in `pre`."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self._open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._open.append(tag)
        if tag == "pre":
            self.texts.append("")

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if self._open and self._open[-1] == "pre":
            self.texts[-1] += data


def test_csv_has_a_line_a_cell_with_all_its_numbers(tmp_path):
    text = io.StringIO(newline="")
    print_report(make_view(tmp_path), Summary("x"), ".csv", text)
    rows = list(csv.DictReader(io.StringIO(text.getvalue(), newline="")))
    assert len(rows) == 24
    assert rows[1]["variant"] == "b" and rows[1]["score.exact_match"] == "1.0"
    assert (rows[0]["expected"], rows[0]["answer"], rows[0]["input.message"]) == ("Lantern", "no", "message 1")
    assert (rows[0]["cached"], rows[0]["error"], rows[0]["prompt_tokens"]) == ("0", "", "50")


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(1)", "'@SUM(1)"),
        ("-2+3", "'-2+3"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("\t=1+1", "'\t=1+1"),
        ("＝1+1", "'＝1+1"),
        ("-5", "-5"),
        ("+1.5e3", "+1.5e3"),
        ("a = b", "a = b"),
    ],
)
def test_no_spreadsheet_carries_out_what_a_model_said(tmp_path, said, written):
    text = io.StringIO(newline="")
    print_report(make_view(tmp_path, [answer("a", CASES[0], said)]), Summary("x"), ".csv", text)
    (row,) = csv.DictReader(io.StringIO(text.getvalue(), newline=""))
    assert row["answer"] == written


def test_csv_keeps_line_breaks_quotes_and_commas(tmp_path):
    said = 'one,\n"two"\r\nthree'
    text = io.StringIO(newline="")
    print_report(make_view(tmp_path, [answer("a", CASES[0], said)]), Summary("x"), ".csv", text)
    (row,) = csv.DictReader(io.StringIO(text.getvalue(), newline=""))
    assert row["answer"] == said


def test_parquet_has_the_same_rows_with_types(tmp_path):
    view = make_view(tmp_path, [answer("a", CASES[0], "no"), answer("a", CASES[1], "", error="died")])
    write_report(view, Summary("x"), tmp_path / "out" / "cells.parquet")
    table = pq.read_table(tmp_path / "out" / "cells.parquet")
    rows = table.to_pylist()
    assert (rows[0]["score.exact_match"], rows[0]["error"], rows[0]["cached"]) == (0.0, None, False)
    assert (rows[1]["score.exact_match"], rows[1]["error"], rows[1]["case"]) == (None, "died", 2)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["cells.parquet"]


def test_a_parquet_file_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(FileError, match="Cannot write"):
        write_report(make_view(tmp_path), Summary("x"), tmp_path / "taken" / "cells.parquet")


def test_the_page_needs_nothing_from_elsewhere(tmp_path):
    view = make_view(tmp_path)
    write_report(view, summarize(view), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    tags = ReportPage(page).tags
    assert not [tag for tag, _ in tags if tag in ("link", "img", "iframe")]
    assert not [values for _, values in tags if {"src", "href"} & values.keys()]
    assert {"svg", "details", "table"} <= {tag for tag, _ in tags}


def test_what_a_model_wrote_stays_text_on_the_page(tmp_path):
    cases = [msgspec.structs.replace(CASES[0], variables={"message": EVIL}, expected=EVIL)]
    cells = [answer(name, cases[0], EVIL, error=EVIL if name == "b" else "") for name in ("a", "b")]
    view = make_view(tmp_path, cells, cases)
    page = ReportPage(render_html(view, summarize(view)))
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not [values for _, values in page.tags if any(name.startswith("on") for name in values)]
    shown = EVIL.replace("\x1b", "␛").replace("\u202e", "\ufffd")
    assert page.texts.count(shown) >= 3


def test_only_the_pages_own_script_may_run(tmp_path):
    view = make_view(tmp_path)
    page = render_html(view, summarize(view))
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert "default-src 'none'" in page


def test_cases_carry_what_the_page_can_filter_by(tmp_path):
    cells = [answer(name, case, case.expected) for case in CASES for name in ("a", "b")]
    cells[0] = answer("a", CASES[0], "no")
    cells[2] = answer("a", CASES[1], "", error="died")
    view = make_view(tmp_path, cells)
    kinds = [
        values["data-kinds"]
        for tag, values in ReportPage(render_html(view, summarize(view))).tags
        if tag == "details" and "data-kinds" in values
    ]
    assert kinds[:3] == ["different failure", "error", ""]


def test_of_very_many_cases_those_that_differ_are_on_the_page(tmp_path):
    cells = [answer(name, case, "same" if case.number < 10 else name) for case in CASES for name in ("a", "b")]
    view = make_view(tmp_path, cells)
    page = render_html(view, summarize(view), most_cases=4)
    assert "4 of 12 cases" in page
    assert page.count('<details class="case"') == 4
    assert page.count('data-kinds="different failure"') == 3


def test_a_page_of_a_run_without_cells_is_still_a_page(tmp_path):
    view = store_run(tmp_path / "s.sqlite", plain_variants("a"), CASES, [])
    assert "Nothing has been scored yet" in render_html(view, summarize(view))


def test_spreads_of_reworded_prompts_have_a_table(tmp_path):
    view = make_view(tmp_path)
    assert "Prompt sensitivity" not in render_html(view, summarize(view))
    spread = PromptSensitivity("a", "exact_match", 0.5, 3, 0.4, 0.2, 0.6, math.nan, "casing")
    page = render_html(view, msgspec.structs.replace(summarize(view), spreads=(spread,)))
    assert "Prompt sensitivity" in page and "0.200 – 0.600" in page and "casing" in page


def test_the_page_says_which_cells_were_known_already(tmp_path):
    view = make_view(tmp_path)
    summary = summarize(view)
    first, *rest = summary.variants
    known = msgspec.structs.replace(summary, variants=(msgspec.structs.replace(first, cached=9), *rest))
    assert "9 from the cache" not in render_html(view, summary)
    assert "9 from the cache" in render_html(view, known)


def test_what_the_best_variant_answered_stands_open(tmp_path):
    view = make_view(tmp_path)
    summary = summarize(view)
    assert summary.best == "b" and [one.variant for one in summary.confusion] == ["a", "b"]
    tags = ReportPage(render_html(view, summary)).tags
    assert ["open" in values for tag, values in tags if values.get("class") == "answered"] == [False, True]


@pytest.mark.parametrize("suffix", report_formats())
def test_each_format_is_written_by_its_suffix(tmp_path, suffix):
    view = make_view(tmp_path)
    write_report(view, summarize(view), tmp_path / "out" / f"run{suffix.upper()}")
    assert (tmp_path / "out" / f"run{suffix.upper()}").stat().st_size > 100
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_a_suffix_that_no_format_has_is_refused_with_those_there_are(tmp_path):
    with pytest.raises(WorkbenchError, match=r"run\.docx: no report format has the suffix \.docx") as caught:
        find_format(tmp_path / "run.docx")
    assert ".parquet" in caught.value.hint
    with pytest.raises(WorkbenchError, match=r"\(none\)"):
        find_format(tmp_path / "run")


def test_a_format_is_added_by_registering_its_writer(tmp_path, monkeypatch):
    report_formats()
    monkeypatch.setattr(registry, "_FORMATS", dict(registry._FORMATS))

    @registry.report(".txt", "Text", "the number of variants")
    def write_text(_, summary, stream):
        stream.write(f"{len(summary.variants)} variants\n")

    view = make_view(tmp_path)
    write_report(view, summarize(view), tmp_path / "run.txt")
    assert (tmp_path / "run.txt").read_text() == "2 variants\n"
    assert ".txt" in report_formats()


def test_a_writer_that_fails_leaves_the_old_report(tmp_path, monkeypatch):
    report_formats()
    monkeypatch.setattr(registry, "_FORMATS", dict(registry._FORMATS))

    @registry.report(".txt", "Text", "nothing")
    def write_half(_, __, stream):
        stream.write("half of it")
        raise ZeroDivisionError

    (tmp_path / "run.txt").write_text("the old one")
    with pytest.raises(ZeroDivisionError):
        write_report(make_view(tmp_path), Summary("x"), tmp_path / "run.txt")
    assert (tmp_path / "run.txt").read_text() == "the old one"
    assert [path.name for path in tmp_path.glob("*run.txt*")] == ["run.txt"]
