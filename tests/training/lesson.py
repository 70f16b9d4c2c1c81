"""A training, tiny: a base of some 40,000 numbers, a prompt, rows and a recipe."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from workbench import yaml_document
from workbench.settings import Settings
from workbench.training.job_dir import JobDir, create_job_dir
from workbench.training.recipe import Recipe
from workbench.training.recipe_file import parse_recipe
from workbench.training.task import Task, open_task

PROMPT = "---\nname: ask\n---\nsystem:\nBe kind.\n\nuser:\n{{ message }}\n"
RECIPE = """\
base: tiny
prompt: ask
library: .
train: {path: train.jsonl}
validation: {path: validation.jsonl}
training: {max_steps: 4, batch_size: 2, learning_rate: 0.01, device: cpu}
evaluation: {eval_steps: 2, cases: 2, samples: 2, max_tokens: 4}
"""
WORDS = ("parcel", "kettle", "house", "here")


def write_rows(path: Path, count: int, first: int = 0) -> None:
    rows = [
        {"message": f"Where is my {WORDS[at % 4]} {at}?", "expected": WORDS[at % 4]}
        for at in range(first, first + count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def read(changes: str = "", text: str = RECIPE) -> Recipe:
    """The usual recipe with further lines, which replace those of the same key."""
    keys = [line.split(":")[0] for line in changes.splitlines()]
    kept = [line for line in text.splitlines() if line.split(":")[0] not in keys]
    return parse_recipe("\n".join([*kept, *changes.splitlines()]), "test")


def open_lesson(folder: Path, changes: str = "") -> Task:
    return open_task(read(changes), folder, Settings(), "lesson")


def job_dir_of(folder: Path, changes: str = "", name: str = "lesson") -> JobDir:
    """A new job that nobody carries out yet."""
    return create_job_dir(name, yaml_document.encode(read(changes)), folder, datetime.now())
