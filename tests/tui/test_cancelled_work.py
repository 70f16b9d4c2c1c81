"""A dry run and an export are ended by a person."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from terminal_app import wait_until

from workbench.errors import TrainingError
from workbench.models.reference import Model
from workbench.tui import training_jobs
from workbench.tui.cancellation import Cancellation
from workbench.tui.training_jobs import TrainingJobs


@pytest.fixture
def jobs(tmp_path: Path) -> TrainingJobs:
    model = Model("m", tmp_path / "m.gguf", "gguf")
    session = SimpleNamespace(
        path=tmp_path / "a.bench.yaml", settings=None, models=(model,), variants=(SimpleNamespace(model="m"),)
    )
    return TrainingJobs(session)  # type: ignore[arg-type]


def test_what_was_cancelled_before_it_began_ends_at_once():
    ended = []
    cancellation = Cancellation()
    cancellation.cancel()
    cancellation.on_cancel(lambda: ended.append(True))
    assert ended == [True]


def test_a_dry_run_is_cancelled(jobs, monkeypatch):
    begun, killed = threading.Event(), threading.Event()

    def endless(recipe, folder, settings, on_start):
        on_start(killed.set)
        begun.set()
        killed.wait()
        raise TrainingError("The dry run was killed.")

    monkeypatch.setattr(training_jobs, "dry_run", endless)
    with ThreadPoolExecutor() as threads:
        found = threads.submit(jobs.dry_run, None)
        begun.wait()
        assert jobs.cancel_work()
        with pytest.raises(TrainingError, match="The dry run was cancelled"):
            found.result()
    assert not jobs.cancel_work()


def test_an_export_is_cancelled(jobs, monkeypatch, tmp_path):
    begun = tmp_path / "begun"
    code = f"import pathlib, threading; pathlib.Path({str(begun)!r}).touch(); threading.Event().wait()"
    monkeypatch.setattr(training_jobs.spawn, "command", lambda *_: [sys.executable, "-c", code])
    with ThreadPoolExecutor() as threads:
        made = threads.submit(jobs.export, tmp_path / "adapter")
        wait_until(begun.exists)
        assert jobs.cancel_work()
        with pytest.raises(TrainingError, match="The export of adapter was cancelled"):
            made.result()
    assert not (tmp_path / "adapter.gguf").exists()
