from __future__ import annotations

import pytest
from lesson import read

from workbench.cli.sweep import read_values
from workbench.errors import TrainingError
from workbench.training import sweep
from workbench.training.job import Job
from workbench.training.journal import Journal
from workbench.training.manifest import Manifest, write_manifest
from workbench.training.place import make_place
from workbench.training.progress import JobEnded, JobExamined
from workbench.training.registry import Registry
from workbench.training.sweep import Range, Sweep, set_values


@pytest.fixture
def trained(lesson, monkeypatch):
    """Jobs that end at once: the higher the rank, the better; a learning rate above 1 fails. Those that were begun."""
    from datetime import datetime

    begun = []

    def start(recipe, folder, name="", path=None):
        begun.append(recipe)
        place = make_place(recipe.name, "", folder, datetime.now())
        score = min(recipe.method.rank / 20, 1.0)
        journal = Journal(place.events)
        journal.write(JobExamined(1.0, 2, 1.0, 1.0, {"exact_match": score}, 50, "exact_match", True))
        if recipe.training.learning_rate > 1:
            journal.write(JobEnded(2.0, "failed", "It blew up."))
        else:
            adapter = Registry().folder / recipe.name
            adapter.mkdir(parents=True)
            write_manifest(adapter, Manifest(recipe.name, 1, 1.0, "lora", "b", "d", ""))
            journal.write(JobEnded(2.0, "done", "Done.", adapter=str(adapter), best_step=2))
        journal.close()
        return Job(place)

    monkeypatch.setattr(sweep, "start", start)
    return begun


def make(lesson, **space) -> Sweep:
    values = {key.replace("__", "."): held for key, held in space.items()}
    return Sweep(read(), lesson, "study", values)


@pytest.mark.filterwarnings("ignore")
def test_trials_are_ranked_with_intervals_and_their_adapters_put_aside(lesson, trained):
    ranking = make(lesson, method__rank=(2, 8, 16)).run(6, lambda _: None)
    assert ranking.metric == "exact_match"
    best = ranking.best
    assert best is not None and best.score is not None
    assert best.score.value == max(min(recipe.method.rank / 20, 1) for recipe in trained)
    assert best.score.low < best.score.value < best.score.high
    assert {entry.rank for entry in Registry().entries()} == {"retired"}


@pytest.mark.filterwarnings("ignore")
def test_a_study_is_gone_on_with_by_a_later_call(lesson, trained):
    make(lesson, method__rank=(2, 8)).run(2, lambda _: None)
    ranking = make(lesson, method__rank=(2, 8)).run(1, lambda _: None)
    assert sorted(trial.number for trial in ranking.trials) == [0, 1, 2]


@pytest.mark.filterwarnings("ignore")
def test_a_trial_that_fails_stops_no_other(lesson, trained):
    ranking = make(lesson, training__learning_rate=(0.1, 5.0)).run(6, lambda _: None)
    assert {trial.outcome for trial in ranking.trials} == {"complete", "failed"}
    assert next(trial.reason for trial in ranking.trials if trial.outcome == "failed") == "It blew up."


def test_alpha_follows_the_rank_unless_it_is_tried_itself():
    assert set_values(read(), {"method.rank": 32}).method.alpha == 64
    assert set_values(read(), {"method.rank": 32, "method.alpha": 8.0}).method.alpha == 8


def test_a_value_that_no_recipe_has_is_told(lesson):
    with pytest.raises(TrainingError, match=r"method\.rang"):
        make(lesson, method__rang=(1, 2))
    with pytest.raises(TrainingError, match=r"method\.rank"):
        make(lesson, method__rank=(0, 2))


def test_values_and_ranges_are_read_from_the_command_line():
    assert read_values("method.rank=4,8") == ("method.rank", (4, 8))
    assert read_values("training.learning_rate=1e-4..1e-2") == ("training.learning_rate", Range(1e-4, 1e-2, True))
    assert read_values("method.dropout=0..0.5") == ("method.dropout", Range(0.0, 0.5, False))
    assert read_values("method.dora=true,false") == ("method.dora", (True, False))
    for wrong in ("method.rank", "method.rank=", "x=a..b", "x=5..1"):
        with pytest.raises(TrainingError):
            read_values(wrong)
