"""Gauge: how far a run's lanes are, and how long they will still take.

Knows nothing of how cells are carried out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from workbench.evaluation.lane import Lane
from workbench.evaluation.ledger import Ledger
from workbench.evaluation.plan import Plan
from workbench.evaluation.progress import RunProgress, RunState
from workbench.hosting.pool import Pool


class Wish(NamedTuple):
    """What a person wants of a run, and what keeps it from going on, in words."""

    paused: bool = False
    cancelled: bool = False
    problem: str = ""


def read_progress(ledger: Ledger, lanes: Sequence[Lane], plan: Plan, pool: Pool, wish: Wish) -> RunProgress:
    """How far the run is."""
    active = next((lane for lane in lanes if lane.running), None)
    waiting = next((lane for lane in lanes if lane.waiting), None)
    lane = active or waiting
    return RunProgress(
        ledger.run.id,
        ledger.done,
        ledger.failed,
        ledger.cached,
        ledger.total,
        lane.rate if lane else 0.0,
        _foretell(lanes, plan),
        lane.name if lane else "",
        _name_state(active, waiting, pool, wish),
        tuple(lane.name for lane in lanes if lane.paused),
        wish.problem,
    )


def _name_state(active: Lane | None, waiting: Lane | None, pool: Pool, wish: Wish) -> RunState:
    if wish.cancelled:
        return "stopping"
    if wish.problem:
        return "waiting"
    if active is None and waiting is not None and (wish.paused or waiting.paused):
        return "paused"
    if active and active.model and pool.info(active.model) is None:
        return "loading"
    return "running"


def _foretell(lanes: Sequence[Lane], plan: Plan) -> float | None:
    """Seconds that are left: by each lane's own speed, else by what the plan expected of it, else by the last one's."""
    seconds = 0.0
    known = [lane.rate for lane in lanes if lane.rate]
    for lane, planned in zip(lanes, plan.models, strict=True):
        if not lane.left or lane.model is None:
            continue
        rate = lane.rate or (known[-1] if known and planned.seconds is None else 0.0)
        if rate:
            seconds += lane.left / rate
        elif planned.seconds is not None:
            seconds += planned.seconds
        else:
            return None
    return seconds
