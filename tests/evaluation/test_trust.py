"""Code that a bench names: found however deep, run only once a person agreed to it as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.evaluation.trust import find_untrusted, trust, without_code

SPECS = (
    "exact_match",
    {"python": {"file": "judge.py"}},
    {"combined": {"parts": [{"contains": {"text": "a"}}, {"python": {"file": "other.py", "weight": 2}}]}},
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    (tmp_path / "judge.py").write_text("def score(answer): return 1")
    (tmp_path / "other.py").write_text("def score(answer): return 0")
    return tmp_path


def test_every_file_is_found_and_asked_about_once(folder):
    assert [path.name for path in find_untrusted(SPECS, folder)] == ["judge.py", "other.py"]
    trust(find_untrusted(SPECS, folder))
    assert find_untrusted(SPECS, folder) == ()


def test_a_changed_file_asks_again(folder):
    trust(find_untrusted(SPECS, folder))
    (folder / "judge.py").write_text("import os")
    assert [path.name for path in find_untrusted(SPECS, folder)] == ["judge.py"]


def test_a_broken_list_trusts_nothing(folder):
    trust(find_untrusted(SPECS, folder))
    (folder / "home/data/trusted.json").write_text("{")
    assert len(find_untrusted(SPECS, folder)) == 2


def test_scorers_that_run_code_can_be_left_out(folder):
    assert without_code(SPECS) == ("exact_match",)
