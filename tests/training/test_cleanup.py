"""What killed processes have left is removed at the next start; what living ones are writing stays."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from workbench import paths
from workbench.inference.worker import spawn
from workbench.training.checkpoints import SAVING
from workbench.training.cleanup import remove_leftovers
from workbench.training.job_dir import JobDir, create_job_dir


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


def make(name: str) -> tuple[JobDir, Path]:
    job_dir = create_job_dir(name, "base: x", Path(), datetime.now())
    half = job_dir.checkpoints / SAVING / "checkpoint-3" / "model.safetensors"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    return job_dir, half


def test_partial_checkpoints_of_jobs_that_are_over_are_removed(gone):
    _, left = make("killed")
    living, kept = make("living")
    living.record_process(os.getpid())
    whole = kept.parents[2] / "checkpoint-2"
    whole.mkdir()
    remove_leftovers()
    assert not left.exists()
    assert kept.exists()
    assert whole.exists()


def test_temporary_files_and_folders_of_the_dead_are_removed(home, gone):
    drafts = paths.data_folder() / "drafts"
    drafts.mkdir(parents=True)
    left, mine = (drafts / f".a.json.{pid}.0123abcd.tmp" for pid in (gone, os.getpid()))
    reservation = home / "run/workbench" / f"{gone}.0123abcd.reservation"
    hidden = reservation.with_suffix(".new")
    reservation.parent.mkdir(mode=0o700)
    making = paths.data_folder() / "adapters" / ".mine.making"
    making.mkdir(parents=True)
    for path in (left, mine, reservation, hidden):
        path.write_text("half")
    folder = spawn.make_scratch()
    orphan = folder.with_name(f"{gone}-00")
    orphan.mkdir()
    remove_leftovers()
    assert [path.exists() for path in (left, reservation, hidden, making, orphan)] == [False] * 5
    assert mine.exists()
    assert folder.exists()


def test_a_home_that_is_not_there_yet_is_no_obstacle():
    remove_leftovers()
