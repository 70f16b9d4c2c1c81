"""What killed processes have left is removed at the next start; what living ones are writing stays."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from workbench import child_process, paths
from workbench.training.checkpoints import SAVING
from workbench.training.leftovers import sweep_leftovers
from workbench.training.place import Place, make_place


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "run").mkdir(mode=0o700)
    return tmp_path


@pytest.fixture
def gone() -> int:
    """A process that is no more."""
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    return int(done.stdout)


def make(name: str) -> tuple[Place, Path]:
    place = make_place(name, "base: x", Path(), datetime.now())
    half = place.checkpoints / SAVING / "checkpoint-3" / "model.safetensors"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    return place, half


def test_partial_checkpoints_of_jobs_that_are_over_are_removed(gone):
    _, left = make("killed")
    living, kept = make("living")
    living.note_process(os.getpid())
    whole = kept.parents[2] / "checkpoint-2"
    whole.mkdir()
    sweep_leftovers()
    assert not left.exists()
    assert kept.exists()
    assert whole.exists()


def test_temporary_files_and_folders_of_the_dead_are_removed(home, gone):
    drafts = paths.data_folder() / "drafts"
    drafts.mkdir(parents=True)
    left, mine = (drafts / f".a.json.{pid}.0123abcd.tmp" for pid in (gone, os.getpid()))
    claim = home / "run/workbench" / f"{gone}.0123abcd.claim"
    hidden = claim.with_suffix(".new")
    claim.parent.mkdir(mode=0o700)
    making = paths.data_folder() / "adapters" / ".mine.making"
    making.mkdir(parents=True)
    for path in (left, mine, claim, hidden):
        path.write_text("half")
    folder = child_process.make_scratch()
    orphan = folder.with_name(f"{gone}-00")
    orphan.mkdir()
    sweep_leftovers()
    assert [path.exists() for path in (left, claim, hidden, making, orphan)] == [False] * 5
    assert mine.exists()
    assert folder.exists()


def test_a_home_that_is_not_there_yet_is_no_obstacle():
    sweep_leftovers()
