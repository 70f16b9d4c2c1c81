"""Removes what killed processes left on disk, at the next start: files that were being written, and dead locks."""

from __future__ import annotations

import shutil

from workbench import files, paths
from workbench.cpu_budget.reservations import remove_dead
from workbench.inference.worker import spawn
from workbench.training import checkpoints
from workbench.training.job_dir import list_job_dirs


def remove_leftovers() -> None:
    """Remove partial files, folders and checkpoints, and dead reservations; nothing of a living process."""
    for folder in (paths.data_folder(), paths.settings_file().parent):
        files.sweep(folder)
    spawn.sweep_scratch()
    remove_dead()
    job_dirs = list(list_job_dirs())
    living = [job_dir for job_dir in job_dirs if job_dir.is_alive()]
    for job_dir in job_dirs:
        if job_dir not in living:
            checkpoints.remove_partial(job_dir.checkpoints)
    if not living:  # only a training publishes an adapter, and the folder does not name its process
        for making in (paths.data_folder() / "adapters").glob(".*.making"):
            shutil.rmtree(making, ignore_errors=True)
