"""Owner: whether the process that carries a run out still does.

Knows nothing of what it does.
"""

from __future__ import annotations

from typing import Literal

from workbench.process_identity import is_alive
from workbench.store.runs import Run

ActualState = Literal["running", "stopped", "finished", "interrupted"]
"""stopped and interrupted runs can be gone on with; of an interrupted one the process is gone."""


def actual_state(run: Run) -> ActualState:
    """A run's state as it really is."""
    return "interrupted" if run.state == "running" and not is_alive(run.owner) else run.state
