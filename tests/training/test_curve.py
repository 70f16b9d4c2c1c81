from __future__ import annotations

from datetime import datetime

import pytest
from lesson import RECIPE

from workbench.errors import TrainingError
from workbench.training import curve
from workbench.training.curve import train_on_fewer
from workbench.training.job import Job
from workbench.training.journal import Journal
from workbench.training.manifest import DataTrace, Manifest, write_manifest
from workbench.training.place import make_place
from workbench.training.progress import JobEnded
from workbench.training.registry import Registry


@pytest.fixture
def trained(lesson, monkeypatch):
    """An adapter that learned twelve rows, and the recipes that are begun from its own."""
    begun = []

    def start(recipe, folder, name="", path=None):
        begun.append(recipe)
        place = make_place(recipe.name, "", folder, datetime.now())
        adapter = Registry().folder / recipe.name
        adapter.mkdir(parents=True)
        write_manifest(adapter, Manifest(recipe.name, 1, 1.0, "lora", "b", "d", ""))
        journal = Journal(place.events)
        journal.write(JobEnded(2.0, "done", "Done.", adapter=str(adapter)))
        journal.close()
        return Job(place)

    monkeypatch.setattr(curve, "start", start)
    job = make_place("mine", RECIPE, lesson, datetime.now()).folder.name
    adapter = Registry().folder / "mine"
    adapter.mkdir(parents=True)
    data = (DataTrace("train", "train.jsonl", "d", 12),)
    made = Manifest("mine", 1, 1.0, "lora", "b", "d", RECIPE, job=job, data=data)
    write_manifest(adapter, made)
    return made, begun


def test_fewer_rows_are_drawn_and_read_often_enough(trained):
    made, begun = trained
    found = train_on_fewer(made, (4, 8, 400), lambda _: None)
    assert list(found) == [4, 8, 12]
    assert [recipe.train.sample for recipe in begun] == [4, 8]
    assert all(recipe.training.steps >= 60 and recipe.training.batch == 2 for recipe in begun)
    assert all(recipe.validation.path == "validation.jsonl" for recipe in begun)
    assert {entry.name: entry.rank for entry in Registry().entries() if entry.name != "mine"} == {
        "mine-4-rows": "retired",
        "mine-8-rows": "retired",
    }


def test_a_job_that_is_gone_cannot_be_made_again(trained):
    made, _ = trained
    with pytest.raises(TrainingError, match="no longer there"):
        train_on_fewer(Manifest("mine", 1, 1.0, "lora", "b", "d", RECIPE, job="gone", data=made.data), (4,), print)
