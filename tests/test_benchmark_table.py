"""The table of measurements: what stays, what is replaced, and which figures miss their aims."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks import report
from benchmarks.report import Result


def make(
    measure: str = "engine", what: str = "matrix", figure: str = "0.30", aim: str = "at most 0.40", **more
) -> Result:
    rest = {"date": "2026-01-01", "others": 0.0, "machine": "two cores"} | more
    return Result(measure=measure, what=what, figure=figure, aim=aim, **rest)


@pytest.mark.parametrize(
    ("figure", "aim", "missed"),
    [
        ("0.41  (4 s / 10 s)", "at most 0.40", True),
        ("0.40  (4 s / 10 s)", "at most 0.40", False),
        ("0.93  (93 / 100)", "at least 0.95", True),
        ("9.9 ms", "under 50 ms", False),
        ("11 ms", "at most 10 ms", True),
        ("1.30", "less is better", False),
        ("3 of 10,200", "none of 10,000", False),
        ("not run: cmake was not found", "at most 0.40", False),
    ],
)
def test_a_figure_misses_an_aim_that_is_a_limit(figure: str, aim: str, missed: bool):
    assert make(figure=figure, aim=aim).missed is missed


def test_what_was_not_run_this_time_keeps_its_row_and_date():
    old = [make(), make("choices", "4 choices")]
    merged = report.merge(old, [make(figure="0.20", date="2026-02-02")], whole=True)
    assert [(one.figure, one.date) for one in merged] == [("0.20", "2026-02-02"), ("0.30", "2026-01-01")]


def test_a_measure_that_ran_whole_loses_rows_that_it_no_longer_has():
    old = [make(what="matrix of old"), make("choices", "4 choices")]
    whole = report.merge(old, [make()], whole=True)
    assert [one.what for one in whole] == ["matrix", "4 choices"]
    assert len(report.merge(old, [make()], whole=False)) == 3


def test_a_row_that_could_not_be_run_does_not_replace_one_that_was():
    ran, failed = make(), make(figure="not run: cmake was not found")
    assert report.merge([ran], [failed], whole=True) == [ran]
    assert report.merge([], [failed], whole=True) == [failed]


def test_the_table_marks_busy_machines_and_missed_aims_and_names_each_machine():
    text = report.render([make(figure="0.50", others=0.8), make(what="a | b", machine="four cores")])
    assert "at most 0.40 — missed" in text
    assert "machine 1, **busy: 0.8 cores**" in text
    assert "a \\| b" in text
    assert "- machine 2: four cores" in text


def test_a_missed_aim_has_its_reason_below_the_table(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(report, "REASONS", (("matrix", "The disk was slow."),))
    text = report.render([make(figure="0.50"), make(what="matrix again", figure="0.60"), make(what="other matrix")])
    assert text.count("missed (1)") == 2
    assert text.count("1. The disk was slow.") == 1


def test_the_table_is_written_between_its_marks_and_read_again(tmp_path: Path):
    readme, results = tmp_path / "README.md", tmp_path / "results.json"
    readme.write_text(f"# Before\n\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.write([make()], results, readme)
    text = readme.read_text()
    assert text.startswith("# Before\n") and text.endswith(f"{report.END}\nafter\n")
    assert "| engine | matrix | 0.30 | at most 0.40 | 2026-01-01 |" in text
    assert "old" not in text
    assert report.read(results) == [make()]
    assert report.read(tmp_path / "none.json") == []
