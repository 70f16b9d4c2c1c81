"""The same recipe file on two processes, as `accelerate launch` starts them on any number of devices."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from lesson import RECIPE

import workbench
from workbench.models.compatibility import check_compatible
from workbench.models.reference import Adapter, Model
from workbench.training.checkpoints import SAVING, find_checkpoints
from workbench.training.events import JobEvaluated, JobNotice, JobStarted, JobStep
from workbench.training.job import find_job
from workbench.training.registry import Registry

EXAMPLES = Path(workbench.__file__).parents[1] / "docs" / "accelerate"
"""Each for two processes side by side; the recipe says that they compute on the CPU."""


def has_gloo() -> bool:
    import torch.distributed

    return bool(torch.distributed.is_available() and torch.distributed.is_gloo_available())


@pytest.mark.skipif(
    importlib.util.find_spec("accelerate") is None or not has_gloo(),
    reason="accelerate cannot start processes that talk to each other on this machine",
)
@pytest.mark.parametrize("example", ["ddp.yaml", "fsdp.yaml"])
def test_two_processes_train_one_adapter_from_the_recipe_as_it_is(lesson, tmp_path, example):
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    launch = ["-m", "accelerate.commands.launch", "--config_file", str(EXAMPLES / example)]
    command = [sys.executable, *launch, "-m", "workbench.training.child", "my.recipe.yaml"]
    done = subprocess.run(
        command,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(workbench.__file__).parents[1]),
            "OMP_NUM_THREADS": "1",
            "XDG_RUNTIME_DIR": str(runtime),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (lesson / "my.recipe.yaml").read_text() == RECIPE
    job = find_job()
    events = list(job.events(follow=False))
    began = [event for event in events if isinstance(event, JobStarted)]
    assert [(one.processes, one.steps) for one in began] == [(2, 4)]
    assert [event.step for event in events if isinstance(event, JobStep)] == [1, 2, 3, 4]
    assert [event.step for event in events if isinstance(event, JobEvaluated)] == [0, 2, 4]
    sharded = [event.text for event in events if isinstance(event, JobNotice) and "model is sharded" in event.text]
    evaluated = [event for event in events if isinstance(event, JobEvaluated)]
    assert len(sharded) == (example == "fsdp.yaml")
    assert all(bool(event.scores) == (not sharded) for event in evaluated), "none of them could answer alone"
    assert evaluated[-1].validation_loss < evaluated[0].validation_loss
    (entry,) = Registry().entries()
    assert (entry.name, check_compatible(Adapter("my", entry.path, "peft"), Model("tiny", lesson / "tiny", "hf"))) == (
        "my",
        (),
    ), "its matrices are whole"
    assert [state.step for state in find_checkpoints(job.job_dir.checkpoints)][-1] == 4
    assert not (job.job_dir.checkpoints / SAVING).exists()
    assert not list(runtime.rglob("*.reservation"))
