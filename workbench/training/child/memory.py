"""The memory of a training: weights, gradients and the optimizer's states, and what is free for them."""

from __future__ import annotations

import psutil
import torch

from workbench.errors import TrainingError
from workbench.models.reference import ModelInfo
from workbench.training.child.sharding import is_sharded
from workbench.training.optimizer_args import find_optimizer_state
from workbench.training.recipe import Recipe
from workbench.units import format_bytes

_FLOAT = 4  # bytes of a weight, and of its gradient, that is trained


def count_optimizer_bytes(recipe: Recipe, trainable: int) -> int:
    """The states that the optimizer keeps of so many trainable parameters."""
    return round(find_optimizer_state(recipe.optimizer.optim).bytes * trainable)


def measure_free(device: torch.device) -> int:
    """Bytes that are free where it is computed."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    free: int = psutil.virtual_memory().available
    return free


def check_full_memory(recipe: Recipe, info: ModelInfo, device: torch.device) -> None:
    """Raise TrainingError, before a weight is read, where training every weight cannot fit into the free memory."""
    if recipe.method.kind != "full" or is_sharded(device):
        return
    weights, states = info.parameters * _FLOAT, count_optimizer_bytes(recipe, info.parameters)
    needed, free = 2 * weights + states, measure_free(device)
    if needed > free:
        raise TrainingError(
            f"Training every weight of the base needs at least {format_bytes(needed)}, and {format_bytes(free)} are"
            f" free: {format_bytes(weights)} of weights, as much for gradients, {format_bytes(states)} for the"
            " optimizer, and activations beside them.",
            "Train with method.kind: lora, choose a smaller base, or an optimizer with less state: optimizer.optim:"
            " adafactor.",
        )
