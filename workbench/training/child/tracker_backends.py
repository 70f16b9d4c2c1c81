"""TensorBoard, MLflow and W&B, each as one run of one job. A resumed job goes on in its run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.training.job_dir import JobDir

_PROJECT = "workbench"
_MLFLOW_RUN = "mlflow-run.txt"
_LONGEST_PARAMETER = 500  # characters of a parameter's value, MLflow's limit


class TensorboardTracker:
    """A folder of event files for each job, beside each other, so that TensorBoard overlays them."""

    def __init__(self, folder: Path, job_dir: JobDir, values: Mapping[str, Any], step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.opens_by = f"tensorboard --logdir {folder}"
        self._writer = SummaryWriter(str(folder / job_dir.folder.name), purge_step=step + 1 if step else None)
        if not step:
            rows = "\n".join(f"| {key} | {value} |" for key, value in values.items())
            self._writer.add_text("recipe", f"| field | value |\n|---|---|\n{rows}")

    def log(self, figures: Mapping[str, float], step: int) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)

    def close(self, outcome: str) -> None:
        self._writer.close()


class MlflowTracker:
    """A run of MLflow's experiment `workbench`, at MLFLOW_TRACKING_URI or else in a folder on this machine."""

    def __init__(self, folder: Path, job_dir: JobDir, values: Mapping[str, Any], step: int) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow.tracking import MlflowClient

        uri = os.environ.get("MLFLOW_TRACKING_URI")
        if not uri:
            folder.mkdir(parents=True, exist_ok=True)
            uri = f"sqlite:///{folder / 'mlflow.db'}"
        self.opens_by = f"mlflow ui --backend-store-uri {uri}" if uri.startswith("sqlite") else "at MLFLOW_TRACKING_URI"
        self._client = MlflowClient(uri)
        note = job_dir.folder / _MLFLOW_RUN
        if note.exists():
            self._run = note.read_text()
            self._client.update_run(self._run, status="RUNNING")
            return
        experiment = self._client.get_experiment_by_name(_PROJECT)
        id = experiment.experiment_id if experiment else self._client.create_experiment(_PROJECT)
        self._run = self._client.create_run(id, run_name=job_dir.folder.name).info.run_id
        for key, value in values.items():
            self._client.log_param(self._run, key, str(value)[:_LONGEST_PARAMETER])
        note.write_text(self._run)

    def log(self, figures: Mapping[str, float], step: int) -> None:
        for name, value in figures.items():
            self._client.log_metric(self._run, name, value, step=step)

    def close(self, outcome: str) -> None:
        status = {"done": "FINISHED", "stopped": "KILLED"}.get(outcome, "FAILED")
        self._client.set_terminated(self._run, status)


class WandbTracker:
    """A run of W&B's project `workbench`: offline, in a folder that `wandb sync` uploads, unless WANDB_MODE says else.

    What W&B gathers of its own (machine, code, git, console) is switched off.
    """

    def __init__(self, folder: Path, job_dir: JobDir, values: Mapping[str, Any], step: int) -> None:
        import wandb

        folder.mkdir(parents=True, exist_ok=True)
        settings = wandb.Settings(
            console="off",
            silent=True,
            disable_git=True,
            disable_code=True,
            disable_job_creation=True,
            save_code=False,
            x_disable_meta=True,
            x_disable_stats=True,
            x_disable_machine_info=True,
        )
        self._teardown = wandb.teardown
        mode: Any = os.environ.get("WANDB_MODE", "offline")
        self._run = wandb.init(
            project=_PROJECT,
            name=job_dir.folder.name,
            id=job_dir.folder.name,
            resume="allow" if mode == "online" else None,
            mode=mode,
            dir=str(folder),
            config=dict(values),
            settings=settings,
        )
        self.opens_by = f"wandb sync {Path(self._run.dir).parent}" if mode == "offline" else str(self._run.url)

    def log(self, figures: Mapping[str, float], step: int) -> None:
        self._run.log(dict(figures), step=step)

    def close(self, outcome: str) -> None:
        self._run.summary["outcome"] = outcome
        code = 0 if outcome != "failed" else 1
        self._run.finish(exit_code=code)
        self._teardown(code)  # its service writes in a process of its own, which finish does not wait for
