"""Two small soaks of the embedded model; `python -m tests.soak` makes a long one."""

from __future__ import annotations

from pathlib import Path

import pytest
from soak.soak_report import Soak
from soak.soak_run import soak

from workbench.cpu_budget.budget import CpuBudget
from workbench.inference.llamacpp import context_pool
from workbench.inference.llamacpp.decode_strategy import DecodeStrategy

SETS, KEPT = 3, 2048
"""Of adapters, more than have a context at the same time; and tokens that a context keeps at rest."""


@pytest.mark.model
def test_scores_of_requests_all_end_as_they_should_and_leave_nothing_behind(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(context_pool, "MOST_SETS", 2)
    check(soak(70, 7, tmp_path, "desk-f16.gguf", 1, SETS))


@pytest.mark.model
def test_the_same_holds_where_contexts_go_side_by_side_all_the_time(tmp_path: Path, monkeypatch) -> None:
    both = lambda self, first, second, _: self.chooses(first) and self.chooses(second)  # noqa: E731
    monkeypatch.setattr(DecodeStrategy, "pairs", both)
    monkeypatch.setattr(CpuBudget, "threads", lambda _: 2)
    check(soak(50, 8, tmp_path, "desk-q8_0.gguf", 2, SETS))


def check(made: Soak) -> None:
    made.judge()
    report = made.report
    told = "\n".join(report.lines())
    assert not report.odd, told
    assert not report.wrong, told
    assert report.compared > 0.7 * report.count
    assert len(report.partings) <= 0.15 * report.count, told
    assert report.weighed <= report.tolerance.weighed, told
    assert report.started[0] == report.started[1], told
    assert max(report.used) <= KEPT * (SETS + 2), told
    assert report.passed <= 64, told
