"""The keys and values of many rows in one block of memory, so that rows of any length are evaluated together.

Rows come and go freely: nothing is padded or packed anew for them. A row's token at position p lies in
cell p. What a row may see is said by the mask (see kv_cache.py); cells beyond that hold old numbers, which are finite
and weigh nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from transformers.cache_utils import Cache

FIRST_TOKENS = 256

Layers = Sequence[tuple[torch.Tensor, torch.Tensor]]
"""Keys and values of each layer, as [heads, tokens, width]."""


class _LayerBlock:
    """One layer's block: keys and values as [rows, heads, tokens, width]."""

    def __init__(self) -> None:
        self.keys: torch.Tensor | None = None
        self.values: torch.Tensor | None = None

    def reserve(self, slots: int, tokens: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        self.keys = _grow(self.keys, slots, tokens, keys)
        self.values = _grow(self.values, slots, tokens, values)


class Selection(NamedTuple):
    """Where the next tokens go: as many in each of the rows, from its position on."""

    slots: tuple[int, ...]
    positions: tuple[int, ...]
    width: int
    """tokens that are looked at"""


class SlotCache(Cache):  # type: ignore[misc]  # transformers comes without types
    """Cache over rows; `select` before each forward pass.

    most_slots, most_tokens: what it grows to, by doubling, when it is needed. check: called in every layer; whatever it
    raises leaves the pass.
    """

    def __init__(self, most_slots: int, most_tokens: int, check: Callable[[], None]) -> None:
        super().__init__(layers=[])
        self._most = (most_slots, most_tokens)
        self._check = check
        self._blocks: list[_LayerBlock] = []
        self._slots = 0
        self._tokens = 0
        self._selection = Selection((), (), 0)

    def select(self, selection: Selection, device: torch.device) -> None:
        """Say where the tokens of the next forward pass belong, and make room for them."""
        self._selection = selection
        slots = selection.slots
        self._slots = _enough(self._slots, max(slots) + 1, 1, self._most[0])
        self._tokens = _enough(self._tokens, selection.width, FIRST_TOKENS, self._most[1])
        self._span = slice(slots[0], slots[-1] + 1) if slots == tuple(range(slots[0], slots[-1] + 1)) else None
        self._slot_index = torch.tensor(slots, device=device)
        self._position_index = torch.tensor(selection.positions, device=device)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store a layer's new keys and values; all that the selected rows may look at. Called by the model."""
        self._check()
        return self._store(key_states, value_states, layer_idx)

    def _store(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        while len(self._blocks) <= layer_idx:
            self._blocks.append(_LayerBlock())
        layer = self._blocks[layer_idx]
        layer.reserve(self._slots, self._tokens, key_states, value_states)
        assert layer.keys is not None and layer.values is not None
        return self._put(layer.keys, key_states), self._put(layer.values, value_states)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self._selection.positions[0] if self._selection.positions else 0

    def get_mask_sizes(self, query_length: int, layer_idx: int) -> tuple[int, int]:
        return self._selection.width, 0

    @property
    def size(self) -> tuple[int, int]:
        """Rows, and tokens of each, that there is room for now."""
        return self._slots, self._tokens

    @property
    def bytes(self) -> int:
        return sum(block.nbytes for block in self._tensors())

    def save(self, slot: int, start: int, end: int) -> Layers:
        """A copy of a part of a row, in host memory."""
        return [
            (_copy(layer.keys[slot, :, start:end]), _copy(layer.values[slot, :, start:end]))
            for layer in self._blocks
            if layer.keys is not None and layer.values is not None
        ]

    def load(self, slot: int, start: int, layers: Layers, device: torch.device) -> None:
        """Put keys and values into a row, from `start` on."""
        if layers:
            self.select(Selection((slot,), (start,), start + layers[0][0].shape[1]), device)
        for number, (keys, values) in enumerate(layers):
            self._store(keys[None].to(device), values[None].to(device), number)

    def copy(self, source: int, target: int, start: int, end: int) -> None:
        """Copy a part of a row over that of another one."""
        self._slots = _enough(self._slots, target + 1, 1, self._most[0])
        for layer in self._blocks:
            if layer.keys is not None and layer.values is not None:
                layer.reserve(self._slots, self._tokens, layer.keys, layer.values)
        for block in self._tensors():
            block[target, :, start:end] = block[source, :, start:end]

    def wipe(self, slot: int) -> None:
        """Forget a row whose numbers may not be numbers: times nothing, they would still not be."""
        for block in self._tensors():
            block[slot : slot + 1].zero_()  # a row that never came to an evaluation may not be there

    def _put(self, block: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        width = self._selection.width
        if len(self._selection.slots) > 1:
            count = states.shape[2]
            if count == 1:
                block[self._slot_index, :, self._position_index] = states[:, :, 0]
            else:
                tokens = self._position_index[:, None] + torch.arange(count, device=block.device)
                block[self._slot_index[:, None], :, tokens] = states.transpose(1, 2)
        else:
            slot, position = self._selection.slots[0], self._selection.positions[0]
            block[slot, :, position : position + states.shape[2]] = states[0]
        if self._span is not None:
            return block[self._span, :, :width]
        return block[self._slot_index, :, :width]

    def _tensors(self) -> Sequence[torch.Tensor]:
        found = (tensor for layer in self._blocks for tensor in (layer.keys, layer.values))
        return [tensor for tensor in found if tensor is not None]


def _enough(now: int, wanted: int, first: int, most: int) -> int:
    """A size that holds what is wanted, and more than that for what comes."""
    return now if now >= wanted else max(wanted, min(max(first, now * 2), most))


def _copy(states: torch.Tensor) -> torch.Tensor:
    return states.to("cpu", copy=True, memory_format=torch.contiguous_format)


def _grow(block: torch.Tensor | None, slots: int, tokens: int, like: torch.Tensor) -> torch.Tensor:
    if block is not None and block.shape[0] >= slots and block.shape[2] >= tokens:
        return block
    grown = torch.zeros((slots, like.shape[1], tokens, like.shape[3]), dtype=like.dtype, device=like.device)
    if block is not None:
        grown[: block.shape[0], :, : block.shape[2]] = block
    return grown
