"""A small soak of the embedded model; `python -m tests.soak` makes a long one."""

from __future__ import annotations

from pathlib import Path

import pytest
from soak.soak_report import soak


@pytest.mark.model
@pytest.mark.parametrize(("file", "count"), [("desk-q8_0.gguf", 260), ("desk-f16.gguf", 120)])
def test_hundreds_of_requests_all_end_as_they_should_and_leave_nothing_behind(
    tmp_path: Path, file: str, count: int
) -> None:
    report = soak(count, 7, tmp_path, file)
    told = "\n".join(report.lines())
    assert not report.odd, told
    assert not report.wrong, told
    assert report.compared > 0.7 * count
    assert len(report.partings) <= 0.1 * count, told
    assert report.weighed <= report.tolerance.weighed, told
    assert report.started[0] == report.started[1], told
    assert report.used[0] == report.used[1], told
    assert report.passed <= 64, told
