"""Rows of the base and of any blend of LoRA adapters in one pass over the weights.

peft can mix adapters in a batch too, but picks the rows apart in every layer, and needs every blend and every scale to
be an adapter of its own. Here the adapters of a batch are stacked once, scales included, for as long as the batch
stays the same.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from peft.tuners.lora import LoraLayer

from workbench.inference.transformers.kv_cache import LoraBlend

MOST_STACKED = 2**30
"""Bytes that stacked adapters take at most; beyond, rows are picked apart."""


class _StackedLora(NamedTuple):
    """A layer's adapters, one a row, or one for all: [rows, rank, in] and [rows, out, rank], scales included."""

    down: torch.Tensor
    up: torch.Tensor


class BatchedLora:
    """A peft model of plain LoRA adapters on linear layers, called with the blend of each row."""

    def __init__(self, peft_model: Any) -> None:
        self.peft_model = peft_model
        self._layers: list[Any] = []
        self._wrapped: set[int] = set()
        self._blends: tuple[LoraBlend, ...] = ()
        self._stacked: tuple[LoraBlend, ...] = ()
        self._stacks: list[_StackedLora | None] | None = None

    def refresh(self) -> None:
        """Take notice of adapters that came or went."""
        self._stacked, self._stacks = (), None
        for layer in self.peft_model.modules():
            if isinstance(layer, LoraLayer) and id(layer) not in self._wrapped:
                self._wrapped.add(id(layer))
                layer.forward = functools.partial(self._pass, len(self._layers), layer)
                self._layers.append(layer)

    @torch.no_grad()
    def __call__(self, blends: Sequence[LoraBlend], **arguments: Any) -> Any:
        """The model's output; one blend a row."""
        self._blends = tuple(blends)
        needed = self._blends[:1] if len(set(self._blends)) == 1 else self._blends
        if needed != self._stacked:
            self._stacked = needed
            small = sum(_size(layer, needed) for layer in self._layers) <= MOST_STACKED
            self._stacks = [_stack_lora(layer, needed) for layer in self._layers] if small else None
        return self.peft_model.base_model.model(**arguments)

    def _pass(self, index: int, layer: Any, states: torch.Tensor, *given: Any, **named: Any) -> torch.Tensor:
        """A layer's output; takes the place of peft's own."""
        result: torch.Tensor = layer.base_layer(states, *given, **named)
        if self._stacks is None:
            return self._pick_apart(layer, states, result)
        stack = self._stacks[index]
        if stack is None:
            return result
        return result + (states.to(stack.down.dtype) @ stack.down.mT @ stack.up.mT).to(result.dtype)

    def _pick_apart(self, layer: Any, states: torch.Tensor, result: torch.Tensor) -> torch.Tensor:
        for blend in set(self._blends):
            rows = [row for row, own in enumerate(self._blends) if own == blend]
            for down, up, scale in _parts(layer, blend):
                result[rows] += ((states[rows].to(down.dtype) @ down.mT @ up.mT) * scale).to(result.dtype)
        return result


def _parts(layer: Any, blend: LoraBlend) -> Iterator[tuple[torch.Tensor, torch.Tensor, float]]:
    """The halves of a layer's adapters that a blend takes, and what their product is multiplied with."""
    for name, scale in blend:
        if name in layer.lora_A:
            yield layer.lora_A[name].weight, layer.lora_B[name].weight, scale * layer.scaling[name]


def _size(layer: Any, blends: Sequence[LoraBlend]) -> int:
    return sum(down.nbytes + up.nbytes for blend in blends for down, up, _ in _parts(layer, blend))


def _stack_lora(layer: Any, blends: Sequence[LoraBlend]) -> _StackedLora | None:
    rows = [list(_parts(layer, blend)) for blend in blends]
    ranks = [sum(down.shape[0] for down, _, _ in row) for row in rows]
    if not any(ranks):
        return None
    like = next(row for row in rows if row)[0]
    downs = like[0].new_zeros((len(rows), max(ranks), like[0].shape[1]))
    ups = like[1].new_zeros((len(rows), like[1].shape[0], max(ranks)))
    for index, row in enumerate(rows):
        start = 0
        for down, up, scale in row:
            end = start + down.shape[0]
            downs[index, start:end] = down
            ups[index, :, start:end] = up * scale
            start = end
    return _StackedLora(downs, ups)
