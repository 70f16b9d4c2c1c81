from __future__ import annotations

from datetime import datetime

import pytest
from lesson import RECIPE

from workbench.errors import TrainingError
from workbench.training import learning_curve
from workbench.training.events import JobEnded, Journal
from workbench.training.job import TrainingJob
from workbench.training.job_dir import create_job_dir
from workbench.training.learning_curve import train_on_subsets
from workbench.training.manifest import DataTrace, Manifest, write_manifest
from workbench.training.registry import Registry


@pytest.fixture
def trained(lesson, monkeypatch):
    """An adapter that learned twelve rows, and the recipes that are begun from its own."""
    begun = []

    def start(recipe, folder, name="", path=None):
        begun.append(recipe)
        job_dir = create_job_dir(recipe.name, "", folder, datetime.now())
        adapter = Registry().folder / recipe.name
        adapter.mkdir(parents=True)
        write_manifest(adapter, Manifest(recipe.name, 1, 1.0, "lora", "b", "d", ""))
        journal = Journal(job_dir.events)
        journal.write(JobEnded(2.0, "done", "Done.", adapter=str(adapter)))
        journal.close()
        return TrainingJob(job_dir)

    monkeypatch.setattr(learning_curve, "start_job", start)
    job = create_job_dir("mine", RECIPE, lesson, datetime.now()).folder.name
    adapter = Registry().folder / "mine"
    adapter.mkdir(parents=True)
    data = (DataTrace("train", "train.jsonl", "d", 12),)
    made = Manifest("mine", 1, 1.0, "lora", "b", "d", RECIPE, job=job, data=data)
    write_manifest(adapter, made)
    return made, begun


def test_fewer_rows_are_drawn_and_read_often_enough(trained):
    made, begun = trained
    found = train_on_subsets(made, (4, 8, 400), lambda _: None)
    assert list(found) == [4, 8, 12]
    assert [recipe.train.sample for recipe in begun] == [4, 8]
    assert all(recipe.training.max_steps >= 60 and recipe.training.batch_size == 2 for recipe in begun)
    assert all(recipe.validation.path == "validation.jsonl" for recipe in begun)
    assert {entry.name: entry.rank for entry in Registry().entries() if entry.name != "mine"} == {
        "mine-4-rows": "retired",
        "mine-8-rows": "retired",
    }


def test_a_job_that_is_gone_cannot_be_made_again(trained):
    made, _ = trained
    with pytest.raises(TrainingError, match="is missing"):
        train_on_subsets(Manifest("mine", 1, 1.0, "lora", "b", "d", RECIPE, job="gone", data=made.data), (4,), print)
