"""What a training job reads, as digests: two machines that have the same ones train the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from workbench.training.row_passages import digest_passages
from workbench.training.task import Task


def digest_task(task: Task, fingerprint: Callable[[Path], str]) -> dict[str, str]:
    """The digest of each part of a task, by its name; "" where the task has none."""
    texts = (task.prompt, task.examples, task.sampling, task.scorers, task.chat_template_kwargs)
    packed = msgspec.json.encode(texts, enc_hook=str, order="deterministic")
    return {
        "base": fingerprint(task.base.path),
        "training rows": task.train.digest if task.train is not None else "",
        "validation rows": task.validation.digest if task.validation is not None else "",
        "parent adapter": fingerprint(task.parent.path) if task.parent else "",
        "passages": digest_passages(task.passages),
        "prompt and scorers": hashlib.blake2b(packed, digest_size=16).hexdigest(),
    }
