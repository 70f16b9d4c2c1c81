"""How reward and scorers moved while answers were sampled: a reward that rises while other scorers fall is hacked."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from workbench.training.events import SAMPLED_SCORE, JobEvaluated, JobEvent
from workbench.training.job import merge_steps

_MOST = 10
_FALL = 0.05
REWARD = "reward"


class Movement(NamedTuple):
    """A figure at the beginning and now: of the updates, its mean over as many of each; on validation, before training
    and at the last evaluation. None: not measured."""

    name: str
    first: float | None = None
    last: float | None = None
    base: float | None = None
    held_out: float | None = None


def list_movements(events: Sequence[JobEvent]) -> tuple[Movement, ...]:
    """Reward first, then what else the objective watches, then every scorer; nothing without such figures."""
    steps = [step.metrics for step in merge_steps(tuple(events)) if step.metrics]
    evaluated = [event.scores for event in events if isinstance(event, JobEvaluated) and event.scores]
    names = dict.fromkeys(name for metrics in steps for name in metrics)
    found = [_move(name, steps, evaluated) for name in sorted(names, key=lambda one: (one != REWARD, _is_scorer(one)))]
    known = {one.name for one in found}
    only_held = [name for name in (evaluated[0] if evaluated else ()) if name not in known]
    return (*found, *(_move(name, (), evaluated) for name in only_held)) if steps else ()


def describe_hacking(movements: Sequence[Movement]) -> str:
    """A sentence where the reward rose and a scorer fell, on sampled answers or on validation; else nothing."""
    reward = next((one for one in movements if one.name == REWARD), None)
    if reward is None or reward.first is None or reward.last is None or reward.last <= reward.first:
        return ""
    fallen = [text for one in movements if one.name != REWARD for text in _describe_fall(one)]
    if not fallen:
        return ""
    return (
        f"The reward rose from {reward.first:.3g} to {reward.last:.3g} while {' and '.join(fallen)}: the reward may be"
        " satisfied without what it stands for. Read the samples; add that scorer to rollouts.reward, or raise"
        " rollouts.beta."
    )


def _move(name: str, steps: Sequence[dict[str, float]], evaluated: Sequence[dict[str, float]]) -> Movement:
    values = [metrics[name] for metrics in steps if name in metrics]
    width = max(1, min(_MOST, len(values) // 4))
    shown = name.removeprefix(SAMPLED_SCORE)
    held = [scores[shown] for scores in evaluated if shown in scores]
    return Movement(
        shown,
        fmean(values[:width]) if values else None,
        fmean(values[-width:]) if values else None,
        held[0] if held else None,
        held[-1] if held else None,
    )


def _is_scorer(name: str) -> bool:
    return name.startswith(SAMPLED_SCORE)


_NOT_SCORERS = (
    "KL",
    "completion length",
    "reward spread",
    "cut at max tokens",
    "prompts with equal rewards",
    "entropy",
)


def _describe_fall(one: Movement) -> list[str]:
    if one.name in _NOT_SCORERS:
        return []
    sides = (("on sampled answers", one.first, one.last), ("on validation", one.base, one.held_out))
    return [
        f"{one.name} fell from {before:.3g} to {after:.3g} {where}"
        for where, before, after in sides
        if before is not None and after is not None and before - after > _FALL * max(1.0, abs(before))
    ]
