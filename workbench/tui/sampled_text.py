"""The answers that a training sampled, as a text to read: update by update, the last first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from workbench.training.sampled_answers import SampledAnswer
from workbench.units import format_number


def describe_sampled(answers: Sequence[SampledAnswer]) -> str:
    """Each update with its samples: case, reward, every scorer, what was asked, expected and answered."""
    updates = [list(group) for _, group in groupby(answers, lambda one: one.step)]
    return "\n".join(_describe(update) for update in reversed(updates))


def _describe(update: Sequence[SampledAnswer]) -> str:
    lines = [f"update {update[0].step}"]
    for one in update:
        scores = ", ".join(f"{name} {format_number(value, 3)}" for name, value in one.scores.items())
        reward = "no reward" if one.reward is None else f"reward {format_number(one.reward, 3)}"
        lines += [
            f"  case {one.case}: {reward}   {scores}".rstrip(),
            f"    asked     {_fold(one.asked)}",
            f"    expected  {_fold(one.expected)}",
            f"    answered  {_fold(one.answer) or '(empty)'}",
        ]
    return "\n".join(lines) + "\n"


def _fold(text: str) -> str:
    """On one line, which a wrapping viewer needs no more of."""
    return " ".join(text.split())
