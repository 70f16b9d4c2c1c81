"""The cases of an open bench follow its dataset, and its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.runs.session import Session
from workbench.settings import Settings

BENCH = "dataset: {path: cases.jsonl}\nvariants:\n  - {name: A, prompt: hello, model: desk}\n"


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    (tmp_path / "cases.jsonl").write_text('{"word": "one"}\n{"word": "two"}\n')
    (tmp_path / "others.jsonl").write_text('{"word": "three"}\n')
    (tmp_path / "a.bench.yaml").write_text(BENCH)
    return Session(tmp_path / "a.bench.yaml", Settings())


def words(session: Session) -> list[str]:
    return [case.variables["word"] for case in session.cases]


def test_a_bench_that_another_program_gave_another_dataset_shows_its_cases(session: Session) -> None:
    session.path.write_text(BENCH.replace("cases", "others"))
    session.reload_changed(session.read_changed())
    assert words(session) == ["three"]
    assert session.case.variables == {"word": "three"}


def test_reloading_reads_the_dataset_that_was_chosen_last(session: Session) -> None:
    session.path.write_text(BENCH.replace("cases", "others"))
    session.reload_changed(session.read_changed())
    (session.path.parent / "others.jsonl").write_text('{"word": "three"}\n{"word": "four"}\n')
    session.reload_cases()
    assert words(session) == ["three", "four"]
    session.discard()
    assert words(session) == ["three", "four"]


def test_a_dataset_that_cannot_be_read_leaves_no_cases_and_says_why(session: Session) -> None:
    session.path.write_text(BENCH.replace("cases", "missing"))
    session.reload_changed(session.read_changed())
    assert words(session) == []
    assert "missing.jsonl" in session.problems[-1].message
    assert session.number == 1
