"""What the training process sets up before its libraries are imported, and how much of the machine it takes."""

from __future__ import annotations

import logging
import os
import warnings
from typing import Any

from workbench.cpu_budget.budget import CpuBudget
from workbench.cpu_budget.machine import shorten_openmp_waits
from workbench.inference.worker import spawn
from workbench.settings import load_settings

_NICENESS = 10

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
shorten_openmp_waits()


def hush() -> None:
    """Keep what is meant for developers out of the job's log."""
    for module in ("peft", "torch", "trl", "transformers", "accelerate", "datasets"):
        warnings.filterwarnings("ignore", module=rf"{module}(\..*)?")
    warnings.filterwarnings("ignore", message=".*(pin_memory|lr_scheduler).*")
    for name in ("trl", "accelerate", "datasets", "transformers", "peft"):
        logging.getLogger(name).setLevel(logging.ERROR)


def lower_priority() -> CpuBudget:
    """Let interactive work go first; the CPU budget of this process."""
    import torch

    spawn.lower_priority(_NICENESS)
    processes = max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    cpu_budget = CpuBudget.open(-(-load_settings().threads // processes))
    torch.set_num_threads(cpu_budget.threads())
    return cpu_budget


def follow_cpu_budget(cpu_budget: CpuBudget, model: Any) -> None:
    """Compute each forward pass of a model, in training, evaluation and generation, with the threads granted then.

    Of a model on a device the CPU computes nothing: no cores are reserved for it.
    """
    import torch

    def set_threads(embeddings: Any, *_: Any) -> None:
        if all(tensor.device.type != "cpu" for tensor in embeddings.parameters()):
            return
        cpu_budget.begin()
        threads = cpu_budget.threads()
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)

    # every pass begins at the input embeddings, whatever adapter is around the model
    model.get_input_embeddings().register_forward_pre_hook(set_threads)
