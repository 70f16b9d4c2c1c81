"""Mix: how much there is of each task, and how the few-shot curriculum moves on.

Knows nothing of tokens.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from .document import Document
from .tasks.arithmetic import arithmetic
from .tasks.fields import fields
from .tasks.matching import Difficulty, copying, described, options, recall, shots
from .tasks.passages import passage
from .tasks.prose import prose
from .world import World

TASKS = ("shots", "described", "options", "recall", "copying", "fields", "arithmetic", "passage", "prose")


@dataclass(frozen=True, slots=True)
class Stage:
    """Shares of the tasks, in the order of TASKS, and the difficulty of matching."""

    shares: tuple[float, ...]
    difficulty: Difficulty


START = Stage((0.30, 0.12, 0.10, 0.12, 0.08, 0.12, 0.10, 0.03, 0.03), Difficulty(same=0.5, keyword=0.5, framed=0.1, made_up=0.05))
MIDDLE = Stage((0.30, 0.15, 0.08, 0.03, 0.04, 0.16, 0.16, 0.04, 0.04), Difficulty(same=0.15, keyword=0.15, framed=0.5, made_up=0.15))
FINISH = Stage((0.30, 0.15, 0.07, 0.01, 0.02, 0.17, 0.18, 0.05, 0.05), Difficulty(same=0.0, keyword=0.02, framed=0.9, made_up=0.2))


def stage_at(progress: float) -> Stage:
    """The stage at a share (0 to 1) of the training."""
    first, second, at = (START, MIDDLE, progress / 0.5) if progress < 0.5 else (MIDDLE, FINISH, min(1.0, (progress - 0.5) / 0.3))
    between = tuple(a + (b - a) * at for a, b in zip(first.shares, second.shares, strict=True))
    a, b = first.difficulty, second.difficulty
    return Stage(
        between,
        Difficulty(
            a.same + (b.same - a.same) * at,
            a.keyword + (b.keyword - a.keyword) * at,
            a.framed + (b.framed - a.framed) * at,
            a.made_up + (b.made_up - a.made_up) * at,
        ),
    )


def draw(world: World, rng: random.Random, stage: Stage, size: int) -> tuple[str, Document]:
    """A document of about `size` tokens, and the name of its task."""
    task = rng.choices(TASKS, stage.shares)[0]
    return task, draw_task(task, world, rng, stage.difficulty, size)


def draw_task(task: str, world: World, rng: random.Random, difficulty: Difficulty, size: int) -> Document:
    if task == "shots":
        return shots(world, rng, size, difficulty)
    if task == "described":
        return described(world, rng, size, difficulty)
    writers = {
        "options": options,
        "recall": recall,
        "copying": copying,
        "fields": fields,
        "arithmetic": arithmetic,
        "passage": passage,
        "prose": prose,
    }
    return writers[task](world, rng, size)
