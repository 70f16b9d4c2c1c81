"""Rows of the base and of any blend of LoRA adapters in one pass over the weights.

peft can mix adapters in a batch too, but picks the rows apart in every layer, and needs every blend and every scale
to be an adapter of its own. Here the adapters of a batch are stacked once, scales included, for as long as the batch
stays the same. Knows nothing of files or requests.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from peft.tuners.lora import LoraLayer

from workbench.engines.transformers.memory import Recipe

MOST_STACKED = 2**30
"""Bytes that stacked adapters take at most; beyond, rows are picked apart."""


class _Stack(NamedTuple):
    """A layer's adapters, one a row, or one for all: [rows, rank, in] and [rows, out, rank], scales included."""

    down: torch.Tensor
    up: torch.Tensor


class Mixture:
    """A peft model of plain LoRA adapters on linear layers, called with the recipe of each row."""

    def __init__(self, laid: Any) -> None:
        self.laid = laid
        self._layers: list[Any] = []
        self._wrapped: set[int] = set()
        self._recipes: tuple[Recipe, ...] = ()
        self._stacked: tuple[Recipe, ...] = ()
        self._stacks: list[_Stack | None] | None = None

    def refresh(self) -> None:
        """Take notice of adapters that came or went."""
        self._stacked, self._stacks = (), None
        for layer in self.laid.modules():
            if isinstance(layer, LoraLayer) and id(layer) not in self._wrapped:
                self._wrapped.add(id(layer))
                layer.forward = functools.partial(self._pass, len(self._layers), layer)
                self._layers.append(layer)

    @torch.no_grad()
    def __call__(self, recipes: Sequence[Recipe], **arguments: Any) -> Any:
        """The model's output; one recipe a row."""
        self._recipes = tuple(recipes)
        needed = self._recipes[:1] if len(set(self._recipes)) == 1 else self._recipes
        if needed != self._stacked:
            self._stacked = needed
            small = sum(_size(layer, needed) for layer in self._layers) <= MOST_STACKED
            self._stacks = [_stack(layer, needed) for layer in self._layers] if small else None
        return self.laid.base_model.model(**arguments)

    def _pass(self, place: int, layer: Any, states: torch.Tensor, *given: Any, **named: Any) -> torch.Tensor:
        """A layer's output; takes the place of peft's own."""
        result: torch.Tensor = layer.base_layer(states, *given, **named)
        if self._stacks is None:
            return self._pick_apart(layer, states, result)
        stack = self._stacks[place]
        if stack is None:
            return result
        return result + (states.to(stack.down.dtype) @ stack.down.mT @ stack.up.mT).to(result.dtype)

    def _pick_apart(self, layer: Any, states: torch.Tensor, result: torch.Tensor) -> torch.Tensor:
        for recipe in set(self._recipes):
            rows = [row for row, own in enumerate(self._recipes) if own == recipe]
            for down, up, scale in _parts(layer, recipe):
                result[rows] += ((states[rows].to(down.dtype) @ down.mT @ up.mT) * scale).to(result.dtype)
        return result


def _parts(layer: Any, recipe: Recipe) -> Iterator[tuple[torch.Tensor, torch.Tensor, float]]:
    """The halves of a layer's adapters that a recipe takes, and what their product is multiplied with."""
    for name, scale in recipe:
        if name in layer.lora_A:
            yield layer.lora_A[name].weight, layer.lora_B[name].weight, scale * layer.scaling[name]


def _size(layer: Any, recipes: Sequence[Recipe]) -> int:
    return sum(down.nbytes + up.nbytes for recipe in recipes for down, up, _ in _parts(layer, recipe))


def _stack(layer: Any, recipes: Sequence[Recipe]) -> _Stack | None:
    rows = [list(_parts(layer, recipe)) for recipe in recipes]
    ranks = [sum(down.shape[0] for down, _, _ in row) for row in rows]
    if not any(ranks):
        return None
    like = next(row for row in rows if row)[0]
    downs = like[0].new_zeros((len(rows), max(ranks), like[0].shape[1]))
    ups = like[1].new_zeros((len(rows), like[1].shape[0], max(ranks)))
    for place, row in enumerate(rows):
        start = 0
        for down, up, scale in row:
            end = start + down.shape[0]
            downs[place, start:end] = down
            ups[place, :, start:end] = up * scale
            start = end
    return _Stack(downs, ups)
