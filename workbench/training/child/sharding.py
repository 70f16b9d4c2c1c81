"""Whether accelerate shards the model over several processes (FSDP, DeepSpeed), and what training then leaves out."""

from __future__ import annotations

import functools
import os
from typing import Any

import torch


def is_sharded(device: torch.device) -> bool:
    """Whether no process may hold the whole model. DeepSpeed shards on graphics cards alone."""
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    fsdp = _wants("ACCELERATE_USE_FSDP") and (several or device.type != "cpu")
    return fsdp or (device.type != "cpu" and _wants("ACCELERATE_USE_DEEPSPEED"))


def describe_sharding(device: torch.device, cases: int) -> str:
    """A sentence on what a sharded training leaves out, or on sharding that a CPU does not do; else nothing."""
    if is_sharded(device):
        return (
            "The model is sharded over the processes, none of which can answer alone: no samples and no scores, the"
            " validation loss chooses the checkpoint."
            if cases
            else ""
        )
    if _wants("ACCELERATE_USE_DEEPSPEED"):
        return "DeepSpeed shards on graphics cards alone: on the CPU every process holds the whole base (DDP)."
    return ""


@functools.cache
def shard_on_cpu() -> None:
    """Let accelerate shard by FSDP over the processes of a CPU too.

    It takes the FSDP plugin for graphics cards only and falls back to DDP without a word (accelerate 1.15, the list of
    types in state.py's AcceleratorState); PyTorch's fully_shard itself works over gloo.
    """
    from accelerate.state import AcceleratorState
    from accelerate.utils import DistributedType

    if not _wants("ACCELERATE_USE_FSDP"):
        return
    begin = AcceleratorState.__init__

    @functools.wraps(begin)
    def with_plugin(self: Any, *arguments: Any, fsdp_plugin: Any = None, **options: Any) -> None:
        begin(self, *arguments, fsdp_plugin=fsdp_plugin, **options)
        if fsdp_plugin is not None and self.distributed_type == DistributedType.MULTI_CPU:
            self.distributed_type = DistributedType.FSDP
            if self.mixed_precision != "no":
                fsdp_plugin.set_mixed_precision(self.mixed_precision)
            self.fsdp_plugin = fsdp_plugin

    AcceleratorState.__init__ = with_plugin


def gather_shards(state: dict[str, Any] | None) -> dict[str, Any] | None:
    """The weights of a model as whole tensors, as files hold them; every process has to call it."""
    from torch.distributed.tensor import DTensor

    if state is None:
        return None
    return {name: one.full_tensor() if isinstance(one, DTensor) else one for name, one in state.items()}


def _wants(variable: str) -> bool:
    return os.environ.get(variable, "false").lower() == "true"
