"""Lessons: the rows of a task as the datasets that TRL's trainers read, and what was left out.

Knows nothing of trainers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import datasets

from workbench.errors import TrainingError
from workbench.training.child.learner import Learner
from workbench.training.encoding import UNLEARNED, Encoded
from workbench.training.recipe import Recipe
from workbench.training.rows import Row


class Lessons(NamedTuple):
    """Rows as token ids. cut: rows whose answer was cut off; lost: rows of which no answer was left."""

    encoded: tuple[Encoded, ...]
    rows: tuple[Row, ...]
    limit: int
    cut: int = 0
    lost: int = 0

    @property
    def tokens(self) -> int:
        return sum(min(len(one.ids), self.limit) for one in self.encoded)


def encode_rows(learner: Learner, recipe: Recipe, rows: Sequence[Row]) -> Lessons:
    """The rows that fit. Raises TrainingError when none does."""
    limit = longest(learner, recipe)
    encoded = [learner.encoder.encode(row) for row in rows]
    kept = [at for at, one in enumerate(encoded) if one.prompt < limit]
    if rows and not kept:
        shortest = min(one.prompt for one in encoded)
        raise TrainingError(
            f"All {len(rows)} rows are too long: their prompts alone take {shortest} tokens or more, and a row may have"
            f" {limit}.",
            "Raise training.max_length, shorten the prompt, or take a base with a longer context.",
        )
    cut = sum(1 for at in kept if encoded[at].end >= limit)
    return Lessons(
        tuple(encoded[at] for at in kept),
        tuple(rows[at] for at in kept),
        limit,
        cut,
        len(rows) - len(kept),
    )


def longest(learner: Learner, recipe: Recipe) -> int:
    """Tokens that a row may have."""
    trained = learner.info.context_trained_tokens or 1024
    wanted = recipe.training.max_length or trained
    virtual = recipe.method.virtual_tokens if recipe.method.kind in ("prefix", "prompt") else 0
    return max(1, min(wanted, trained - virtual))


def make_dataset(lessons: Lessons, completion_only: bool) -> Any:
    """Token ids and labels, as SFTTrainer takes them without any preparation of its own but cutting and packing."""
    columns: dict[str, list[list[int]]] = {"input_ids": [], "labels": []}
    for one in lessons.encoded:
        labels = one.labels(completion_only)[: lessons.limit]
        if any(label != UNLEARNED for label in labels):
            columns["input_ids"].append(list(one.ids[: lessons.limit]))
            columns["labels"].append(labels)
    return datasets.Dataset.from_dict(columns)


def make_pairs(pairs: Iterable[tuple[Encoded, Encoded]], limit: int) -> Any:
    """Prompts with a better and a worse answer, as DPOTrainer takes them."""
    columns: dict[str, list[list[int]]] = {"prompt_ids": [], "chosen_ids": [], "rejected_ids": []}
    for chosen, rejected in pairs:
        if chosen.prompt < limit:
            columns["prompt_ids"].append(list(chosen.ids[: chosen.prompt]))
            columns["chosen_ids"].append(list(chosen.ids[chosen.prompt :]))
            columns["rejected_ids"].append(list(rejected.ids[rejected.prompt :]))
    if not columns["prompt_ids"]:
        raise TrainingError("No pair of answers fits.", "Raise training.max_length, or shorten the prompts.")
    return datasets.Dataset.from_dict(columns)
