"""Experiment trackers: what TensorBoard, MLflow and W&B read is what the job's events say."""

from __future__ import annotations

import importlib.util
import signal
from pathlib import Path

import msgspec
import pytest
import torch  # noqa: TID253
from lesson import job_dir_of, read

from workbench import paths
from workbench.training.child.trackers import Trackers, flatten, list_figures
from workbench.training.events import JobEnded, JobEvaluated, JobNotice, JobStarted, JobStep, read_events
from workbench.training.job_dir import JobControl

pytestmark = pytest.mark.filterwarnings("ignore")

SECRET = "key-that-nobody-may-read"


@pytest.fixture(scope="module")
def carry_out():
    handler, threads = signal.getsignal(signal.SIGTERM), torch.get_num_threads()
    torch.set_num_threads(1)
    from workbench.training.child.run import run_job

    yield run_job
    signal.signal(signal.SIGTERM, handler)
    torch.set_num_threads(threads)


@pytest.fixture
def secrets(monkeypatch):
    for name in ("WANDB_API_KEY", "MLFLOW_TRACKING_PASSWORD", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)


def written(job_dir) -> dict[tuple[str, int], float]:
    """Every figure of the job's events, by name and update; of a repeated update the last."""
    events = read_events(job_dir.events).events
    measured = [event for event in events if isinstance(event, JobStep | JobEvaluated)]
    return {(name, event.step): value for event in measured for name, value in list_figures(event)}


def find_secret(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


def notices(job_dir) -> list[str]:
    return [event.text for event in read_events(job_dir.events).events if isinstance(event, JobNotice)]


def test_tensorboard_reads_what_the_events_say_also_after_a_resume(lesson, carry_out, secrets):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    job_dir = job_dir_of(lesson, "report_to: [tensorboard]")
    job_dir.write_control(JobControl("stop", keep=False))
    assert carry_out(job_dir).outcome == "stopped"
    job_dir.write_control(JobControl())
    assert carry_out(job_dir).outcome == "done"
    folder = paths.data_folder() / "logs" / "tensorboard"
    assert any(str(folder) in text for text in notices(job_dir))
    found = EventAccumulator(str(folder / job_dir.folder.name))
    found.Reload()
    read_back = {(tag, scalar.step): scalar.value for tag in found.Tags()["scalars"] for scalar in found.Scalars(tag)}
    expected = written(job_dir)
    assert read_back.keys() == expected.keys()
    assert read_back == pytest.approx(expected, rel=1e-5)
    assert {"train/loss", "eval/loss", "eval/exact_match"} <= {name for name, _ in expected}
    assert "training.batch_size | 2" in str(found.Tensors("recipe/text_summary")[0])
    assert find_secret(paths.data_folder()) == []


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="mlflow is not installed")
def test_mlflow_reads_what_the_events_say_also_after_a_resume(lesson, carry_out, secrets):
    from mlflow.tracking import MlflowClient

    job_dir = job_dir_of(lesson, "report_to: [mlflow]")
    job_dir.write_control(JobControl("stop", keep=False))
    carry_out(job_dir)
    job_dir.write_control(JobControl())
    assert carry_out(job_dir).outcome == "done"
    assert not [text for text in notices(job_dir) if "failed" in text]
    folder = paths.data_folder() / "logs" / "mlflow"
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("workbench").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["training.batch_size"] == "2"
    losses = {metric.step: metric.value for metric in client.get_metric_history(run.info.run_id, "train/loss")}
    expected = {step: value for (name, step), value in written(job_dir).items() if name == "train/loss"}
    assert losses == pytest.approx(expected)
    assert find_secret(paths.data_folder()) == []


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
def test_wandb_writes_offline_and_says_how_to_upload_it(lesson, carry_out, secrets):
    job_dir = job_dir_of(lesson, "report_to: [wandb]")
    assert carry_out(job_dir).outcome == "done"
    (place,) = [text for text in notices(job_dir) if text.startswith("wandb")]
    assert place.startswith("wandb: wandb sync ")
    folder = Path(place.removeprefix("wandb: wandb sync "))
    (log,) = folder.glob("*.wandb")
    assert b"train/loss" in log.read_bytes()
    assert find_secret(paths.data_folder()) == []


STARTED = JobStarted(1.0, 1, 0, 4, 1.0, 10, 2, 5, 50, "cpu", "float32", 0.1, 2)
STEP = JobStep(2.0, 1, 0.1, 1.5, 0.1, 2.0, 30, 10.0, 100, 0.1, 0.3)


def test_a_tracker_that_fails_is_told_once_and_ends_alone(lesson, monkeypatch):
    from workbench.training.child import trackers

    logged = []

    class Full:
        opens_by = "nowhere"

        def __init__(self, *_):
            pass

        def log(self, figures, step):
            raise OSError(28, "No space left on device")

        def close(self, outcome):
            raise AssertionError("it was dropped")

    class Fine(Full):
        def log(self, figures, step):
            logged.append((figures["train/loss"], step))

        def close(self, outcome):
            logged.append(outcome)

    monkeypatch.setattr(trackers, "_BACKENDS", {"tensorboard": Full, "mlflow": Fine})
    told = []
    recipe = msgspec.structs.replace(read(), report_to=("tensorboard", "mlflow"))
    made = Trackers(recipe, job_dir_of(lesson), told.append)
    for event in (STARTED, STEP, STEP, JobEnded(3.0, "done", "")):
        made.on_event(event)
    assert logged == [(1.5, 1), (1.5, 1), "done"]
    failed = [event.text for event in told if "failed" in event.text]
    assert len(failed) == 1
    assert "tensorboard failed" in failed[0] and "No space left on device" in failed[0]


def test_a_recipe_becomes_flat_parameters_without_what_is_empty():
    flat = flatten({"base": "x", "method": {"rank": 8, "target_modules": ["q", "v"]}, "parent": "", "on": False})
    assert flat == {"base": "x", "method.rank": 8, "method.target_modules": "q, v", "on": False}
