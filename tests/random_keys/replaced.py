"""What starts a process that a round must not start, or ends the round, says so instead: by id, with the reason."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest

from workbench.errors import WorkbenchError
from workbench.inference.remote import found_server
from workbench.training.job import TrainingJob
from workbench.tui import catalog, training_jobs
from workbench.tui.actions.palette import ACTIONS
from workbench.tui.sweeps import SweepTask
from workbench.tui.training_jobs import TrainingJobs

REPLACED = {
    "app.quit": "ends the app before the round is over",
    "leave": "the same from the palette",
    "app.suspend": "stops the process that plays the round",
    "edit_outside": "starts a foreign program, $EDITOR",
    "training.start": "starts a training",
    "training.pause": "resumes a training",
    "training.dry_run": "starts a process that loads training libraries",
    "training.export": "starts a process that converts a model",
    "sweep.begin": "starts trainings",
    "picker.connect": "asks a server",
}


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise WorkbenchError("This is not done here.", "A round of random keys starts no other process.")


async def _refuse_action(*_: Any) -> None:
    _refuse()


def replace(patch: pytest.MonkeyPatch) -> None:
    """Replace what REPLACED lists but for the keys of the app itself, see player.KeyboardApp."""
    for id in ("leave", "edit_outside"):
        patch.setitem(ACTIONS, id, ACTIONS[id]._replace(start=_refuse_action))
    patch.setattr(training_jobs, "start_job", _refuse)
    patch.setattr(TrainingJob, "resume", _refuse)
    patch.setattr(TrainingJobs, "dry_run", _refuse)
    patch.setattr(TrainingJobs, "export", _refuse)
    patch.setattr(SweepTask, "work", _refuse)
    patch.setattr("workbench.tui.actions.models._connect", _refuse_action)
    patch.setattr(catalog, "edit_text", _refuse)
    patch.setattr(found_server, "PORTS", {})
