"""Jobs, checkpoints and manifests of an earlier version open; a recipe of one names the new keys.

The files in earlier_version/ were written by that version.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from workbench.errors import TrainingError
from workbench.training.adapter_comparison import compare_adapters
from workbench.training.checkpoints import find_checkpoints
from workbench.training.events import JobEnded, JobEvaluated, JobStage, JobStarted, read_events
from workbench.training.job import TrainingJob
from workbench.training.job_dir import JobDir
from workbench.training.manifest import read_manifest
from workbench.training.recipe import EvalArgs, Method, TrainingArgs
from workbench.training.recipe_file import parse_recipe

FILES = Path(__file__).with_name("earlier_version")


def test_a_job_opens_with_every_event_and_its_recipe():
    job = TrainingJob(JobDir(FILES))
    lines = (FILES / "events.jsonl").read_text().splitlines()
    events = read_events(FILES / "events.jsonl").events
    assert len(events) == len(lines)
    started = next(event for event in events if isinstance(event, JobStarted))
    assert (started.eval_steps, started.steps) == (2, 4)
    assert [event.step for event in events if isinstance(event, JobEvaluated)] == [0, 2, 4]
    assert {event.stage for event in events if isinstance(event, JobStage)} >= {"loading", "evaluating"}
    assert isinstance(events[-1], JobEnded)
    assert (job.state, job.info().best.step if job.info().best else None) == ("done", 4)
    assert job.recipe.training.max_grad_norm == 0.5
    assert job.recipe.method.target_modules == ("q_proj", "v_proj")
    assert job.recipe.evaluation.early_stopping_patience == 3


def test_a_checkpoint_can_be_resumed(tmp_path: Path):
    folder = tmp_path / "checkpoint-4"
    folder.mkdir()
    text = (FILES / "checkpoint.json").read_text()
    (folder / "checkpoint.json").write_text(text[: text.rindex(',"files"')] + "}")  # its weights are not kept here
    (found,) = find_checkpoints(tmp_path)
    state = found.trainer_state
    assert (state.step, state.tokens, state.best.step if state.best else None) == (4, 174, 4)
    assert state.monitor.first_loss == pytest.approx(7.8136, abs=1e-3)
    assert len(state.monitor.recent_losses) == 4
    assert [point[0] for point in state.monitor.evaluations] == [2, 4]
    assert state.monitor.initial_end_logprob == pytest.approx(-7.26, abs=0.01)
    assert state.monitor.endless


def test_a_manifest_opens_and_its_recipe_is_compared_under_the_new_keys(tmp_path: Path):
    shutil.copy(FILES / "manifest.json", tmp_path)
    made = read_manifest(tmp_path)
    assert compare_adapters(made, made).recipe == ()
    assert made.metrics is not None
    assert made.metrics.scores == {"exact_match": 0.0}


@pytest.mark.parametrize(
    ("section", "kind"), [("method", Method), ("training", TrainingArgs), ("evaluation", EvalArgs)]
)
def test_a_recipe_with_an_old_key_names_the_new_one(section: str, kind: type[Method | TrainingArgs | EvalArgs]):
    for old, new in kind.RENAMED.items():
        with pytest.raises(TrainingError, match=f"line 3: {section}.{old}: unknown key; it is now called {new}"):
            parse_recipe(f"base: x\n{section}:\n  {old}: 1\n", "my.recipe.yaml")
