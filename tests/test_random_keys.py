"""Short rounds of random keys, one at each size; and that the rounds would see a fault."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.random_keys.expectations import compare_drafts
from tests.random_keys.project import write_project
from workbench.runs.session import Session
from workbench.settings import Settings

ROOT = Path(__file__).parents[1]


def press(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Play rounds in a process of their own, for the hook that encloses them stays."""
    command = [sys.executable, "-m", "tests.random_keys", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("size", "seed"), [("80x24", 3), ("120x30", 4), ("160x45", 2)])
def test_random_keys_leave_the_session_as_the_screen_shows_it(size: str, seed: int) -> None:
    played = press("--size", size, "--seed", str(seed), "--steps", "50")
    assert played.returncode == 0, played.stdout + played.stderr
    assert "0 faults" in played.stdout


def test_a_lost_draft_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    session = Session(write_project(tmp_path / "project"), Settings())
    session.edit_prompt("queues/plain", "user:\nAnother text\n")
    session.set_live(not session.live)
    assert list(compare_drafts(session)) == []
    for draft in session.autosaves.folder.glob("*.json"):
        draft.unlink()
    assert [line.partition(":")[0] for line in compare_drafts(session)] == [
        "drafted prompts",
        "bench",
        "prompt queues/plain",
    ]
