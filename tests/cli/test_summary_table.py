"""The summary as a terminal shows it."""

from __future__ import annotations

import re

import pytest
from rich.console import Console
from stored_run import answer, make_cases, plain_variants, store_run

from workbench.analysis.summary import Summary, summarize
from workbench.cli import summary_table

CASES = make_cases(60)


@pytest.fixture
def print_at(monkeypatch, capsys):
    """Prints a summary at a width; its lines."""

    def draw(summary, width=80):
        monkeypatch.setattr(summary_table, "console", lambda: Console(width=width, highlight=False, markup=False))
        summary_table.print_summary(summary)
        return capsys.readouterr().out.splitlines()

    return draw


def summary_of(tmp_path, names=("plain", "few-shot, warm", "plain + LoRA"), **options):
    cells = [
        answer(name, case, (case.expected or "") if case.number % 4 < at else "no", **options)
        for case in CASES
        for at, name in zip((0, 2, 4), names, strict=True)
    ]
    return summarize(store_run(tmp_path / "s.sqlite", plain_variants(*names), CASES, cells))


def test_everything_about_a_variant_stands_on_one_line_of_80(tmp_path, print_at):
    lines = print_at(summary_of(tmp_path))
    assert all(len(line) <= 80 for line in lines)
    assert any(re.search(r"plain \+ LoRA +1\.00 +0\.94 – 1\.00 +best +60 +50→2 +200 ms", line) for line in lines)
    assert any(re.search(r"few-shot, warm +0\.50 +0\.38 – 0\.62 +worse", line) for line in lines)


def test_the_findings_follow_in_words(tmp_path, print_at):
    said = " ".join(line.strip() for line in print_at(summary_of(tmp_path)))
    assert "plain + LoRA is better than “few-shot, warm” and plain." in said


def test_a_price_has_its_column_and_none_has_none(tmp_path, print_at):
    assert not any("cost/1000" in line for line in print_at(summary_of(tmp_path)))
    assert any("cost/1000" in line for line in print_at(summary_of(tmp_path / "priced", cost=0.01), 120))


def test_a_name_cannot_steer_the_terminal(tmp_path, print_at):
    lines = print_at(summary_of(tmp_path, ("a\x1b[31m", "b[red]", "c")))
    assert any("a␛[31m" in line for line in lines) and any("b[red]" in line for line in lines)


def test_a_summary_of_nothing_says_so(print_at):
    assert print_at(Summary())[0].startswith("Nothing has been scored yet")
