from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from lesson import read

import workbench
from workbench.errors import TrainingError
from workbench.training import sweep
from workbench.training.events import JobEnded, JobEvaluated, Journal
from workbench.training.job import TrainingJob
from workbench.training.job_dir import create_job_dir
from workbench.training.manifest import Manifest, write_manifest
from workbench.training.registry import Registry
from workbench.training.search_space import Range, format_values, parse_values, set_values
from workbench.training.sweep import Sweep


@pytest.fixture
def trained(lesson, monkeypatch):
    """Jobs that end at once: the higher the rank, the better; a learning rate above 1 fails. Those that were begun."""
    begun = []

    def start(recipe, folder, name="", path=None):
        begun.append(recipe)
        job_dir = create_job_dir(recipe.name, "", folder, datetime.now())
        score = min(recipe.method.rank / 20, 1.0)
        journal = Journal(job_dir.events)
        journal.write(JobEvaluated(1.0, 2, 1.0, 1.0, {"exact_match": score}, 50, "exact_match", True))
        if recipe.training.learning_rate > 1:
            journal.write(JobEnded(2.0, "failed", "It blew up."))
        else:
            adapter = Registry().folder / recipe.name
            adapter.mkdir(parents=True)
            write_manifest(adapter, Manifest(recipe.name, 1, 1.0, "lora", "b", "d", ""))
            journal.write(JobEnded(2.0, "done", "Done.", adapter=str(adapter), best_step=2))
        journal.close()
        return TrainingJob(job_dir)

    monkeypatch.setattr(sweep, "start_job", start)
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
    assert parse_values("method.rank=4,8") == ("method.rank", (4, 8))
    assert parse_values("training.learning_rate=1e-4..1e-2") == ("training.learning_rate", Range(1e-4, 1e-2, True))
    assert parse_values("method.dropout=0..0.5") == ("method.dropout", Range(0.0, 0.5, False))
    assert parse_values("method.use_dora=true,false") == ("method.use_dora", (True, False))
    for wrong in ("method.rank", "method.rank=", "x=a..b", "x=5..1"):
        with pytest.raises(TrainingError):
            parse_values(wrong)


class Learning(TrainingJob):
    """A job that is examined four times, as long as nobody ends it."""

    def __init__(self, job_dir, scores, ended):
        super().__init__(job_dir)
        self._scores, self._ended = scores, ended
        self._at, self._stopped = 0, False
        job_dir.is_alive = lambda: True

    def events(self, follow=True):
        for step, score in enumerate(self._scores, 1):
            self._at = step
            yield JobEvaluated(1.0, step, 1.0, 1.0, {"exact_match": score}, 50, "exact_match", step == 1)
            if self._stopped:
                self._ended.append(self._at)
                yield JobEnded(2.0, "stopped", "It was stopped.")
                return
        adapter = Registry().folder / self.name
        adapter.mkdir(parents=True)
        write_manifest(adapter, Manifest(self.name, 1, 1.0, "lora", "b", "d", ""))
        yield JobEnded(2.0, "done", "Done.", adapter=str(adapter), best_step=1)

    def stop(self, keep=True):
        assert not keep
        self._stopped = True


SHARED = """
import sys
from datetime import datetime
from pathlib import Path

from workbench.training import sweep
from workbench.training.job import TrainingJob
from workbench.training.events import Journal
from workbench.training.manifest import Manifest, write_manifest
from workbench.training.job_dir import create_job_dir
from workbench.training.events import JobEnded, JobEvaluated
from workbench.training.recipe_file import load_recipe
from workbench.training.registry import Registry


def start(recipe, folder, name="", path=None):
    job_dir = create_job_dir(recipe.name, "", folder, datetime.now())
    journal = Journal(job_dir.events)
    score = recipe.method.rank / 20
    journal.write(JobEvaluated(1.0, 2, 1.0, 1.0, {"exact_match": score}, 50, "exact_match", True))
    adapter = Registry().folder / recipe.name
    adapter.mkdir(parents=True)
    write_manifest(adapter, Manifest(recipe.name, 1, 1.0, "lora", "b", "d", ""))
    journal.write(JobEnded(2.0, "done", "Done.", adapter=str(adapter), best_step=2))
    journal.close()
    return TrainingJob(job_dir)


sweep.start_job = start
study = sweep.Sweep(load_recipe(Path("my.recipe.yaml")), Path.cwd(), "study", {"method.rank": (2, 8, 16)})
study.run(3, lambda _: None)
"""


@pytest.mark.filterwarnings("ignore")
def test_a_hopeless_trial_is_ended_before_its_last_examination(lesson, monkeypatch):
    """Four good trials, then one that is far behind at its first examination of four: it learns no further."""
    ended = []

    def start(recipe, folder, name="", path=None):
        good = recipe.method.rank != 2
        job_dir = create_job_dir(recipe.name, "", folder, datetime.now())
        return Learning(job_dir, [0.9] * 4 if good else [0.1] * 4, ended)

    monkeypatch.setattr(sweep, "start_job", start)
    study = Sweep(read(), lesson, "study", {"method.rank": (8,)})
    study.run(4, lambda _: None)
    said: list[str] = []
    ranking = Sweep(read("method: {rank: 2}"), lesson, "study", {"training.batch_size": (2,)}).run(1, said.append)
    hopeless = next(trial for trial in ranking.trials if trial.number == 4)
    assert hopeless.outcome == "pruned"
    assert ended == [1]
    assert any("pruned" in text for text in said)
    assert ranking.best is not None and ranking.best.number != 4


@pytest.mark.filterwarnings("ignore")
def test_two_processes_share_one_study(lesson):
    """Each tries three times, both at once; together they number their trials from 0 to 5."""
    script = lesson / "share.py"
    script.write_text(SHARED)
    command = [sys.executable, str(script)]
    both = [
        subprocess.Popen(
            command,
            env=dict(os.environ, PYTHONPATH=str(Path(workbench.__file__).parents[1])),
            cwd=lesson,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for process in both:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said.decode()
    ranking = make(lesson, method__rank=(2, 8, 16)).rank()
    assert sorted(trial.number for trial in ranking.trials) == list(range(6))
    assert {trial.outcome for trial in ranking.trials} == {"complete"}
    assert len({trial.values["method.rank"] for trial in ranking.trials}) > 1


@pytest.mark.filterwarnings("ignore")
def test_a_search_that_is_stopped_ends_its_trial_and_tries_no_more(lesson, monkeypatch):
    ended, begun = [], []

    def start(recipe, folder, name="", path=None):
        begun.append(recipe)
        study.cancel()
        return Learning(create_job_dir(recipe.name, "", folder, datetime.now()), [0.9] * 4, ended)

    monkeypatch.setattr(sweep, "start_job", start)
    study = make(lesson, method__rank=(2, 8))
    ranking = study.run(5, lambda _: None)
    assert len(begun) == 1
    assert ended == [1]
    assert [(trial.outcome, trial.reason) for trial in ranking.trials] == [("failed", "It was stopped.")]


@pytest.mark.parametrize(
    "text", ["method.rank=4,8", "training.learning_rate=0.0001..0.005", "method.use_dora=true,false"]
)
def test_what_is_tried_is_written_as_it_is_read(text):
    assert parse_values(format_values(*parse_values(text))) == parse_values(text)
