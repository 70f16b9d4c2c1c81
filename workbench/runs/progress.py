"""What a run reports while it goes on: that it began, its cells, how far it is, how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from workbench.runs.cell import CellFinished, CellStarted, CellText
from workbench.runs.plan import Plan

if TYPE_CHECKING:
    from workbench.inference.pool import Pool
    from workbench.runs.work_queue import WorkQueue
    from workbench.runs.writer import RunWriter

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
    problem: what the run waits for, in words; "" where it does not. spent: money, by the models' prices.
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
    spent: float = 0.0


class RunFinished(msgspec.Struct, frozen=True):
    """The last event. finished: every cell is done, well or not; else it was cancelled and can be resumed.

    spent: money, by this attempt. limit_reached: it ended since a further cell might have exceeded the limit.
    """

    run: str
    finished: bool
    spent: float = 0.0
    limit_reached: bool = False


RunEvent = RunStarted | CellStarted | CellText | CellFinished | RunProgress | RunFinished


class RunControl(NamedTuple):
    """What a person wants of a run, what keeps it from going on, in words, and what it has cost so far."""

    paused: bool = False
    cancelled: bool = False
    problem: str = ""
    spent: float = 0.0


def read_progress(
    writer: RunWriter, queues: Sequence[WorkQueue], plan: Plan, pool: Pool, control: RunControl
) -> RunProgress:
    """How far the run is."""
    active = next((queue for queue in queues if queue.running), None)
    waiting = next((queue for queue in queues if queue.waiting), None)
    queue = active or waiting
    return RunProgress(
        writer.run.id,
        writer.done,
        writer.failed,
        writer.cached,
        writer.total,
        queue.rate if queue else 0.0,
        _estimate_seconds(queues, plan),
        queue.name if queue else "",
        _name_state(active, waiting, pool, control),
        tuple(queue.name for queue in queues if queue.paused),
        control.problem,
        control.spent,
    )


def _name_state(active: WorkQueue | None, waiting: WorkQueue | None, pool: Pool, control: RunControl) -> RunState:
    if control.cancelled:
        return "stopping"
    if control.problem:
        return "waiting"
    if active is None and waiting is not None and (control.paused or waiting.paused):
        return "paused"
    if active and active.model and pool.info(active.model) is None:
        return "loading"
    return "running"


def _estimate_seconds(queues: Sequence[WorkQueue], plan: Plan) -> float | None:
    """Seconds left: by each queue's own rate, else by what the plan expected of it, else by the last one's rate.

    Queues on this machine follow one another, those on others run beside them.
    """
    here, elsewhere = 0.0, [0.0]
    known = [queue.rate for queue in queues if queue.rate]
    for queue, planned in zip(queues, plan.models, strict=True):
        if not queue.left or queue.model is None:
            continue
        rate = queue.rate or (known[-1] if known and planned.seconds is None else 0.0)
        if not rate and planned.seconds is None:
            return None
        seconds = queue.left / rate if rate else planned.seconds or 0.0
        if queue.is_elsewhere:
            elsewhere.append(seconds)
        else:
            here += seconds
    return max(here, *elsewhere)
