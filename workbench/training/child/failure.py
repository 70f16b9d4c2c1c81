"""Failure: what went wrong with a training, said in a sentence and with what to do.

Knows nothing of what a training does.
"""

from __future__ import annotations

import time
import traceback

import torch

from workbench.errors import WorkbenchError
from workbench.training.progress import JobEnded

MEMORY = (
    "Lower training.batch and raise training.accumulation by as much, set training.gradient_checkpointing, shorten"
    " training.max_length, or take a smaller base."
)


def is_memory(error: Exception) -> bool:
    """Whether a library ran out of memory, by its words."""
    words = str(error).lower()
    return "out of memory" in words or "can't allocate memory" in words or "not enough memory" in words


def explain(error: BaseException) -> JobEnded:
    """What went wrong, for a person; for what nobody foresaw the whole trace as details."""
    now = time.time()
    if isinstance(error, WorkbenchError):
        return JobEnded(now, "failed", error.message, error.hint, error.details)
    details = "".join(traceback.format_exception(error))
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (isinstance(error, Exception) and is_memory(error)):
        return JobEnded(now, "failed", "There was not enough memory to train.", MEMORY, details)
    if isinstance(error, KeyboardInterrupt):
        return JobEnded(now, "stopped", "It was interrupted.", "`workbench train --resume` goes on.", "")
    lines = str(error).strip().splitlines()
    reason = f"The training failed: {type(error).__name__}: {lines[0] if lines else 'no message'}"
    return JobEnded(now, "failed", reason, "The job's log says more. Its checkpoints are kept.", details)
