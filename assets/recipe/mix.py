"""Mix: how much there is of each task, and how the few-shot curriculum moves on.

Knows nothing of tokens.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import pairwise

from assets.recipe.document import Document
from assets.recipe.tasks.arithmetic import arithmetic
from assets.recipe.tasks.fields import fields
from assets.recipe.tasks.matching import Difficulty, copying, described, options, recall, shots
from assets.recipe.tasks.passages import passage
from assets.recipe.tasks.prose import prose
from assets.recipe.world import World

TASKS = ("shots", "described", "options", "recall", "copying", "fields", "arithmetic", "passage", "prose")


@dataclass(frozen=True, slots=True)
class Stage:
    """Shares of the tasks, in the order of TASKS, and the difficulty of matching."""

    shares: tuple[float, ...]
    difficulty: Difficulty


LOOKUP = Stage(
    (0.40, 0.0, 0.0, 0.35, 0.25, 0.0, 0.0, 0.0, 0.0), Difficulty(same=0.5, keyword=1.0, framed=0.0, made_up=0.0)
)
START = Stage(
    (0.26, 0.16, 0.14, 0.08, 0.06, 0.14, 0.09, 0.05, 0.02), Difficulty(same=0.5, keyword=0.4, framed=0.2, made_up=0.2)
)
MIDDLE = Stage(
    (0.26, 0.18, 0.14, 0.03, 0.04, 0.21, 0.08, 0.04, 0.02),
    Difficulty(same=0.25, keyword=0.15, framed=0.6, made_up=0.25),
)
FINISH = Stage(
    (0.28, 0.28, 0.22, 0.01, 0.01, 0.10, 0.07, 0.02, 0.01), Difficulty(same=0.0, keyword=0.02, framed=0.9, made_up=0.25)
)
LISTS = Stage(
    (0.14, 0.40, 0.20, 0.02, 0.02, 0.09, 0.07, 0.04, 0.02),
    Difficulty(same=0.5, keyword=0.45, framed=0.4, made_up=0.1),
)
COURSE = (
    (0.0, LOOKUP),
    (0.07, LOOKUP),
    (0.1, START),
    (0.3, MIDDLE),
    (0.36, LISTS),
    (0.53, LISTS),
    (0.61, MIDDLE),
    (0.8, FINISH),
    (1.0, FINISH),
)
"""share of the training at which each stage is reached; in between they blend"""


def stage_at(progress: float) -> Stage:
    """The stage at a share (0 to 1) of the training."""
    (begin, first), (end, second) = next(pair for pair in pairwise(COURSE) if progress <= pair[1][0])
    at = min(1.0, (progress - begin) / (end - begin))
    a, b = first.difficulty, second.difficulty
    return Stage(
        tuple(_between(x, y, at) for x, y in zip(first.shares, second.shares, strict=True)),
        Difficulty(
            _between(a.same, b.same, at),
            _between(a.keyword, b.keyword, at),
            _between(a.framed, b.framed, at),
            _between(a.made_up, b.made_up, at),
        ),
    )


def _between(first: float, second: float, at: float) -> float:
    return first + (second - first) * at


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
