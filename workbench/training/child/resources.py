"""Resources: how much of the machine a process that trains takes.

Knows nothing of training.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

import torch

from workbench.cores.lease import Lease
from workbench.settings import load_settings

_NICENESS = 5


def step_back() -> Lease:
    """Let those go first that a person waits for; the cores that this process may use."""
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    processes = max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    lease = Lease.open(-(-load_settings().threads // processes))
    torch.set_num_threads(lease.threads())
    return lease


def follow(lease: Lease, model: Any) -> None:
    """Compute each pass of a model, while it learns, is examined or writes, with the cores that are granted then."""

    def take(*_: Any) -> None:
        lease.begin()
        threads = lease.threads()
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)

    model.get_input_embeddings().register_forward_pre_hook(take)  # every pass begins there, whatever is laid over
