"""Left-overs: what processes that were killed have left on the disk, removed when the workbench is started next.

Knows nothing of what would have become of it: everything here was being written, and whole copies lie beside it.
"""

from __future__ import annotations

import shutil

from workbench import child_process, files, paths
from workbench.cores import register
from workbench.training import checkpoints
from workbench.training.place import find_places


def sweep_leftovers() -> None:
    """Remove half-written files and folders, partial checkpoints, and claims on cores; nothing of a living process."""
    for folder in (paths.data_folder(), paths.settings_file().parent):
        files.sweep(folder)
    child_process.sweep_scratch()
    register.sweep()
    places = list(find_places())
    living = [place for place in places if place.is_alive()]
    for place in places:
        if place not in living:
            checkpoints.sweep(place.checkpoints)
    if not living:  # the one who makes an adapter is a training, and does not say so in the folder's name
        for making in (paths.data_folder() / "adapters").glob(".*.making"):
            shutil.rmtree(making, ignore_errors=True)
