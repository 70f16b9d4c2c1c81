"""What a run tells while it goes on: that it began, its cells, how far it is, how it ended.

Knows nothing of how cells are carried out (run.py) or kept (workbench/store).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from workbench.evaluation.cell import CellFinished, CellStarted, CellText
from workbench.evaluation.plan import Plan

RunState = Literal["loading", "running", "paused", "waiting", "stopping"]
"""waiting: the store takes no cells for now; the run goes on by itself when it does."""


class RunStarted(msgspec.Struct, frozen=True):
    """The run is in the store; its cells follow. run: the id."""

    run: str
    plan: Plan


class RunProgress(msgspec.Struct, frozen=True):
    """How far the run is; told a few times a second at most.

    done: finished cells, with those of an earlier attempt that is resumed. rate: cells a second, lately, cached ones
    left out. seconds_left: None while nothing is known. model: the one at work; paused: models that a person paused.
    problem: what the run waits for, in words; "" where it does not.
    """

    run: str
    done: int
    failed: int
    cached: int
    total: int
    rate: float = 0.0
    seconds_left: float | None = None
    model: str = ""
    state: RunState = "running"
    paused: tuple[str, ...] = ()
    problem: str = ""


class RunFinished(msgspec.Struct, frozen=True):
    """The last event. finished: every cell is done, well or not; else it was cancelled and can be resumed."""

    run: str
    finished: bool


RunEvent = RunStarted | CellStarted | CellText | CellFinished | RunProgress | RunFinished
