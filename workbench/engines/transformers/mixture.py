"""Rows of the base and of many LoRA adapters in one pass over the weights.

peft can do that too, but picks the rows apart again in every layer. Here the adapters of a batch are stacked once,
and all rows go through them together, for as long as the batch stays the same. Knows nothing of files or requests.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from peft.tuners.lora import Linear, LoraLayer

MOST_STACKED = 2**30
"""Bytes that stacked adapters take at most; beyond, peft's own way is taken."""

Names = tuple[str, ...]


class _Stack(NamedTuple):
    """A layer's adapters, one a row, or one for all: [rows, rank, in] and [rows, out, rank], scales included."""

    down: torch.Tensor
    up: torch.Tensor


class Mixture:
    """A peft model of LoRA adapters, called with the adapter of each row."""

    def __init__(self, laid: Any) -> None:
        self.laid = laid
        self._layers: list[Any] = []
        self._wrapped: set[int] = set()
        self._stacks: list[_Stack | None] | None = None
        self._names: Names = ()
        self._stacked: Names = ()

    def refresh(self) -> None:
        """Take notice of adapters that came or went."""
        self._stacked, self._stacks = (), None
        for layer in self.laid.modules():
            if isinstance(layer, LoraLayer) and id(layer) not in self._wrapped:
                self._wrapped.add(id(layer))
                layer.forward = functools.partial(self._pass, len(self._layers), layer, layer.forward)
                self._layers.append(layer)

    @torch.no_grad()
    def __call__(self, adapter_names: Sequence[str], **arguments: Any) -> Any:
        """The model's output; adapter_names has one name a row."""
        self._names = tuple(adapter_names)
        needed = self._names[:1] if len(set(self._names)) == 1 else self._names
        if needed != self._stacked:
            self._stacked = needed
            self._stacks = [self._stack(layer, needed) for layer in self._layers] if self._can_stack(needed) else None
        return self.laid.base_model.model(**arguments)

    def _pass(self, place: int, layer: Any, forward: Any, states: torch.Tensor, *given: Any, **named: Any) -> Any:
        if self._stacks is None:
            return forward(states, *given, adapter_names=list(self._names), **named)
        result = layer.base_layer(states, *given, **named)
        stack = self._stacks[place]
        if stack is None:
            return result
        added = states.to(stack.down.dtype) @ stack.down.mT @ stack.up.mT
        return result + added.to(result.dtype)

    def _can_stack(self, names: Names) -> bool:
        size = 0
        for layer in self._layers:
            used = [name for name in names if _has(layer, name)]
            if used and not isinstance(layer, Linear):
                return False
            size += sum(layer.lora_A[name].weight.nbytes + layer.lora_B[name].weight.nbytes for name in used)
        return size <= MOST_STACKED

    def _stack(self, layer: Any, names: Names) -> _Stack | None:
        used = [name for name in names if _has(layer, name)]
        if not used:
            return None
        down, up = layer.lora_A[used[0]].weight, layer.lora_B[used[0]].weight
        rank = max(layer.lora_A[name].weight.shape[0] for name in used)
        downs = down.new_zeros((len(names), rank, down.shape[1]))
        ups = up.new_zeros((len(names), up.shape[0], rank))
        for row, name in enumerate(names):
            if _has(layer, name):
                own = layer.lora_A[name].weight.shape[0]
                downs[row, :own] = layer.lora_A[name].weight
                ups[row, :, :own] = layer.lora_B[name].weight * layer.scaling[name]
        return _Stack(downs, ups)


def _has(layer: Any, name: str) -> bool:
    return name in layer.lora_A or name in layer.lora_embedding_A
