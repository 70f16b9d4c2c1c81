"""A dry run in its own worker process: what it finds, what it refuses, and how it ends badly."""

from __future__ import annotations

import pytest
from lesson import read

from workbench.errors import TrainingError
from workbench.inference.worker.process import WorkerSpec
from workbench.settings import Settings
from workbench.training import dry_run as dry_run_module
from workbench.training.dry_run import dry_run


def test_a_dry_run_counts_in_a_process_of_its_own(lesson):
    found = dry_run(read("train: {path: train.jsonl}"), lesson, Settings())
    assert (found.rows, found.validation_rows) == (12, 4)
    assert found.previews


def test_what_the_worker_refuses_is_told_in_its_words(lesson):
    with pytest.raises(TrainingError, match=r"nothing_like_it"):
        dry_run(read("method: {kind: lora, rank: 2, target_modules: [nothing_like_it]}"), lesson, Settings())


def test_a_worker_that_ends_badly_is_told_with_its_last_words(lesson, monkeypatch):
    monkeypatch.setattr(dry_run_module, "WorkerSpec", lambda _: WorkerSpec("workbench.training.child.nothing"))
    with pytest.raises(TrainingError, match=r"ended by itself \(exit code 1\).*No module named") as caught:
        dry_run(read("train: {path: train.jsonl}"), lesson, Settings())
    assert "Traceback" in caught.value.details


def test_a_dry_run_is_ended_from_outside(lesson):
    with pytest.raises(TrainingError, match="The dry run"):
        dry_run(read("train: {path: train.jsonl}"), lesson, Settings(), on_start=lambda kill: kill())
