"""A scorer's process that somebody stops: its time runs out, and that is not the scorer's fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.datasets import Case
from workbench.scoring.scorer_set import ScorerSet
from workbench.scoring.trust import find_untrusted, trust

PATIENCE = 60
SPEC = {"python": {"file": "judge.py", "timeout_seconds": 1}}
STOP_ONCE = """
import os, signal
def score(answer):
    try:
        os.close(os.open({mark!r}, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return 1
    os.kill(os.getpid(), signal.SIGSTOP)
    return 0
"""
ALWAYS = "import os, signal\ndef score(answer):\n    os.kill(os.getpid(), signal.SIGSTOP)\n    return 1\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    return tmp_path


def judge(folder: Path, source: str):
    (folder / "judge.py").write_text(source)
    trust(find_untrusted([SPEC], folder))
    scoring = ScorerSet([SPEC], folder)
    try:
        (found,) = scoring.score("a", Case(1, {})).result(PATIENCE)
    finally:
        scoring.close()
    return found


def test_an_answer_whose_scorer_was_stopped_is_scored_by_another_process(folder):
    found = judge(folder, STOP_ONCE.format(mark=str(folder / "mark")))
    assert (found.value, found.applies) == (1, True), found


def test_one_that_is_stopped_each_time_is_lost_and_hangs_nobody(folder):
    found = judge(folder, ALWAYS)
    assert found.unscored == "lost"
    assert "4 times" in found.explanation
