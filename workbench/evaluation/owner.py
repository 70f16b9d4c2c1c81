"""Owner: which process carries a run out, and whether it still does.

Knows nothing of what it does.
"""

from __future__ import annotations

import os
from typing import Literal

import psutil

from workbench.store.runs import Run

ActualState = Literal["running", "stopped", "finished", "interrupted"]
"""stopped and interrupted runs can be gone on with; of an interrupted one the process is gone."""


def describe_myself() -> str:
    """This process as the store remembers it: its number, and when it began, since numbers come again."""
    return f"{os.getpid()} {psutil.Process().create_time():.2f}"


def is_alive(owner: str) -> bool:
    """Whether a process that was so described still runs; a later one with the same number does not count."""
    number, _, started = owner.partition(" ")
    try:
        return bool(number) and f"{psutil.Process(int(number)).create_time():.2f}" == started
    except (psutil.Error, ValueError):
        return False


def actual_state(run: Run) -> ActualState:
    """A run's state as it really is."""
    return "interrupted" if run.state == "running" and not is_alive(run.owner) else run.state
