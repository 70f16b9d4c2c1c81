from __future__ import annotations

import threading
from datetime import datetime
from functools import partial

import pytest
from lesson import open_lesson, read, write_rows

from tests.runs.cluster.nodes import LocalNode
from workbench.errors import TrainingError
from workbench.runs.cluster.messages import FileReport, pack
from workbench.store.fingerprints import fingerprint
from workbench.store.store import Store
from workbench.training.cluster import node_trainer
from workbench.training.cluster.node_trainer import NodeTrainer
from workbench.training.cluster.trial_nodes import MOST_TRIES, TrialNode, TrialNodes
from workbench.training.events import JobEnded, JobEvaluated, JobStarted, Journal
from workbench.training.job import TrainingJob
from workbench.training.job_dir import create_job_dir
from workbench.training.manifest import Manifest, write_manifest
from workbench.training.registry import Registry
from workbench.training.sweep import Sweep

STARTED = JobStarted(0.5, 1, 0, 4, 1.0, 12, 4, 10, 100, "cpu", "float32", 0.01, 2)


class TrialDesk:
    """A sweep of the lesson, and nodes whose training jobs are made by the test."""

    def __init__(self, folder, space, parallel=2, store=None) -> None:
        self.folder = folder
        self.store = store
        self.logged: list[str] = []
        self.callers: dict[str, LocalNode] = {}
        self.lost: list[str] = []
        self.nodes = TrialNodes(open_lesson(folder), partial(fingerprint, store), self.logged.append)
        self.sweep = Sweep(read(), folder, "study", space, start=self.nodes.start, parallel=parallel)

    def join(self, name: str) -> LocalNode:
        caller = self.callers[name] = LocalNode(self.folder.parent / "nodes", name, NodeTrainer)
        self.nodes.add_node(TrialNode(caller, name, self._lose))
        return caller

    def _lose(self, node: TrialNode) -> None:
        self.lost.append(node.name)
        self.nodes.remove_node(node)


@pytest.fixture
def desk(lesson, tmp_path):
    store = Store(tmp_path / "known.sqlite")
    made: list[TrialDesk] = []

    def make(space, parallel=2) -> TrialDesk:
        made.append(TrialDesk(lesson, space, parallel, store))
        return made[-1]

    yield make
    for one in made:
        for caller in one.callers.values():
            caller.close()
    store.close()


@pytest.fixture
def jobs(monkeypatch):
    """Jobs that end at once: the higher the rank, the better. Which recipes were begun."""
    begun = []

    def start(recipe, folder):
        begun.append(recipe)
        job_dir = create_job_dir(recipe.name, "", folder, datetime.now())
        journal = Journal(job_dir.events)
        journal.write(STARTED)
        score = min(recipe.method.rank / 20, 1.0)
        journal.write(JobEvaluated(1.0, 2, 1.0, 1.0, {"exact_match": score}, 50, "exact_match", True))
        adapter = Registry().folder / recipe.name
        adapter.mkdir(parents=True, exist_ok=True)
        write_manifest(adapter, Manifest(recipe.name, 1, 1.0, "lora", "b", "d", ""))
        journal.write(JobEnded(2.0, "done", "Done.", adapter=str(adapter), best_step=2))
        journal.close()
        return TrainingJob(job_dir)

    monkeypatch.setattr(node_trainer, "start_job", start)
    return begun


@pytest.mark.filterwarnings("ignore")
def test_trials_are_shared_among_the_nodes_and_ranked_as_on_one_machine(desk, jobs):
    found = desk({"method.rank": (2, 8, 16)})
    for name in ("first", "second"):
        found.join(name)
    ranking = found.sweep.run(6, lambda _: None)
    assert len(jobs) == len(ranking.trials) == 6
    assert all(trial.outcome == "complete" for trial in ranking.trials)
    assert ranking.best is not None
    assert ranking.best.score is not None
    assert ranking.best.score.value == max(recipe.method.rank / 20 for recipe in jobs)
    assert {entry.rank for entry in Registry().entries()} == {"retired"}
    assert {trial.job.split(" on ")[1] for trial in ranking.trials} <= {"first", "second"}


@pytest.mark.filterwarnings("ignore")
def test_a_trial_whose_node_is_lost_begins_again_on_another_one(desk, jobs, monkeypatch):
    found = desk({"method.rank": (8,)}, parallel=1)
    first = found.join("first")
    usual = node_trainer.start_job

    def start(recipe, folder):
        if not jobs:
            first.kill()
        return usual(recipe, folder)

    monkeypatch.setattr(node_trainer, "start_job", start)
    found.join("second")
    ranking = found.sweep.run(1, lambda _: None)
    assert found.lost == ["first"]
    assert [trial.outcome for trial in ranking.trials] == ["complete"]
    assert ranking.trials[0].job  # where it began


@pytest.mark.filterwarnings("ignore")
def test_a_trial_that_loses_every_node_fails_and_the_next_one_runs(desk, jobs, monkeypatch):
    found = desk({"method.rank": (8,)}, parallel=1)
    names = [f"node{number}" for number in range(MOST_TRIES + 1)]
    for name in names:
        found.join(name)
    usual = node_trainer.start_job

    def start(recipe, folder):
        if len(jobs) < MOST_TRIES:
            found.callers[names[len(jobs)]].kill()
        return usual(recipe, folder)

    monkeypatch.setattr(node_trainer, "start_job", start)
    ranking = found.sweep.run(2, lambda _: None)
    assert sorted(trial.outcome for trial in ranking.trials) == ["complete", "failed"]
    assert found.lost == names[:MOST_TRIES]


def test_a_node_with_other_rows_is_left_out_and_named(desk, lesson, jobs):
    found = desk({"method.rank": (8,)})
    write_rows(lesson / "train.jsonl", 9)
    found.join("other")
    assert any("Node other is not used: it has other data: training rows" in line for line in found.logged)
    (lesson / "train.jsonl").unlink()
    found.join("empty")
    assert any("Node empty is not used: the recipe cannot be opened there" in line for line in found.logged)


@pytest.mark.filterwarnings("ignore")
def test_a_base_that_a_node_has_elsewhere_is_named_there_in_its_trials(desk, lesson, jobs, tiny_hf):
    found = desk({"method.rank": (8,)}, parallel=1)
    elsewhere = lesson.parent / "elsewhere" / "tiny"
    elsewhere.parent.mkdir()
    elsewhere.symlink_to(tiny_hf)
    caller = LocalNode(lesson.parent / "nodes", "first", NodeTrainer)
    found.callers["first"] = caller

    def call(method, *arguments):
        return pack(FileReport(elsewhere)) if method == "find" else caller(method, *arguments)

    found.nodes.add_node(TrialNode(call, "first", lambda _: None))
    found.sweep.run(1, lambda _: None)
    assert [recipe.base for recipe in jobs] == [str(elsewhere)]


@pytest.mark.filterwarnings("ignore")
def test_a_cancelled_sweep_waits_for_no_node(desk, jobs):
    found = desk({"method.rank": (8,)}, parallel=2)
    done = threading.Event()

    def run() -> None:
        found.sweep.run(4, lambda _: None)
        done.set()

    threading.Thread(target=run, daemon=True).start()
    found.nodes.cancel()
    found.sweep.cancel()
    assert done.wait(120)
    assert jobs == []


def test_waiting_for_a_node_ends_with_the_sweep(desk):
    found = desk({"method.rank": (8,)})
    found.nodes.cancel()
    with pytest.raises(TrainingError, match="It was stopped"):
        found.nodes.start(read(), found.folder)
