"""Linear layers that also keep their weights in the order in which the processor multiplies them fastest.

In the plain order a batch of a few rows waits for memory most of the time; the order is found once, when the model is
loaded, where there is memory for a second copy.
"""

from __future__ import annotations

from typing import Any, cast

import torch

_PART = 4
"""The copies take at most this part of the free memory."""

_ROWS = 8
"""Of a batch that the order is chosen for."""


class PrepackedWeights:
    """Prepared weights by where the plain ones lie, so that a layer which got other weights is not given them."""

    def __init__(self) -> None:
        self.bytes = 0
        self._known: dict[int, torch.Tensor] = {}

    def __deepcopy__(self, _: Any) -> PrepackedWeights:
        return self  # a model's structure is copied for each set of adapters; its weights are not

    def add(self, weight: torch.Tensor) -> None:
        if weight.data_ptr() not in self._known:
            self._known[weight.data_ptr()] = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), _ROWS)
            self.bytes += weight.nbytes

    def find(self, weight: torch.Tensor) -> torch.Tensor | None:
        return self._known.get(weight.data_ptr())


class PrepackedLinear(torch.nn.Linear):
    """A linear layer that uses the prepared copy of its weights."""

    prepacked: PrepackedWeights

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        prepacked = self.prepacked.find(self.weight)
        if prepacked is None or states.dtype != self.weight.dtype or torch.is_grad_enabled():
            return super().forward(states)
        made: torch.Tensor = torch.ops.mkldnn._linear_pointwise(states, prepacked, self.bias, "none", [], "")
        return made


@torch.inference_mode()
def prepack(model: Any, free_bytes: int) -> int:
    """Prepare a model's linear layers, where the processor and its memory allow; bytes that the copies take."""
    layers = [module for module in model.modules() if type(module) is torch.nn.Linear]
    weights = {layer.weight.data_ptr(): layer.weight for layer in layers}
    wanted = sum(weight.nbytes for weight in weights.values())
    if not weights or wanted * _PART > free_bytes or not all(map(_can_be, weights.values())):
        return 0
    prepacked = PrepackedWeights()
    try:
        for weight in weights.values():
            prepacked.add(weight)
    except (RuntimeError, NotImplementedError, AttributeError, MemoryError):
        return 0  # this build of torch cannot
    for layer in layers:
        layer.__class__ = PrepackedLinear
        cast(PrepackedLinear, layer).prepacked = prepacked
    return prepacked.bytes


def _can_be(weight: torch.Tensor) -> bool:
    known = (torch.float32, torch.bfloat16)
    available = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    return weight.device.type == "cpu" and weight.dtype in known and available
