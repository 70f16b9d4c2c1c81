"""Resources: how much of the machine a process that trains takes.

Knows nothing of training.
"""

from __future__ import annotations

import contextlib
import os

import psutil
import torch

from workbench.settings import load_settings

_NICENESS = 5
_LOOK_SECONDS = 0.3


def step_back() -> None:
    """Use the cores that there are, and let those go first that a person waits for."""
    processes = max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    torch.set_num_threads(max(1, (load_settings().threads or _count_idle()) // processes))
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)


def _count_idle() -> int:
    """The cores that nobody else uses: threads that share a core wait for each other most of the time."""
    busy: float = psutil.cpu_percent(interval=_LOOK_SECONDS) / 100
    return max(1, round((os.cpu_count() or 1) * (1 - busy)))
