"""Whether accelerate shards the model over several processes (FSDP, DeepSpeed), and what training then leaves out."""

from __future__ import annotations

import os

import torch


def is_sharded(device: torch.device) -> bool:
    """Whether no process may hold the whole model. accelerate shards on graphics cards alone."""
    return device.type != "cpu" and (_wants("ACCELERATE_USE_FSDP") or _wants("ACCELERATE_USE_DEEPSPEED"))


def describe_sharding(device: torch.device, cases: int) -> str:
    """A sentence on what a sharded training leaves out, or on sharding that a CPU does not do; else nothing."""
    if is_sharded(device):
        return (
            "The model is sharded over the processes, none of which can answer alone: no samples and no scores, the"
            " validation loss chooses the checkpoint."
            if cases
            else ""
        )
    if _wants("ACCELERATE_USE_FSDP"):
        return "accelerate shards on graphics cards alone: on the CPU every process holds the whole base (DDP)."
    return ""


def _wants(variable: str) -> bool:
    return os.environ.get(variable, "false").lower() == "true"
