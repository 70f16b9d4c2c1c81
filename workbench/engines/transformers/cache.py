"""The keys and values of many rows in one block of memory, so that rows of any length are evaluated together.

A row's token at position p lies in cell p. What a row may see is said by the mask (see memory.py); cells beyond
that hold old numbers, which are finite and weigh nothing. Knows nothing of requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from transformers.cache_utils import Cache

FIRST_CELLS = 256


class _Layer:
    """One layer's block: keys and values as [rows, heads, cells, width]."""

    def __init__(self) -> None:
        self.keys: torch.Tensor | None = None
        self.values: torch.Tensor | None = None

    def reserve(self, rows: int, cells: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        self.keys = _grow(self.keys, rows, cells, keys)
        self.values = _grow(self.values, rows, cells, values)


class Selection(NamedTuple):
    """Where the next tokens go: one token in each of several rows, or several tokens in one row."""

    rows: tuple[int, ...]
    positions: tuple[int, ...]
    width: int
    """cells that are looked at"""


class RowCache(Cache):  # type: ignore[misc]  # transformers comes without types
    """Cache over rows; `select` before each forward pass."""

    def __init__(self) -> None:
        super().__init__(layers=[])
        self._blocks: list[_Layer] = []
        self._rows = 0
        self._cells = 0
        self._selection = Selection((), (), 0)

    def select(self, selection: Selection, device: torch.device) -> None:
        """Say where the tokens of the next forward pass belong, and make room for them."""
        self._selection = selection
        rows = selection.rows
        while self._rows <= max(rows):
            self._rows = max(1, self._rows * 2)
        while self._cells < selection.width:
            self._cells = max(FIRST_CELLS, self._cells * 2)
        self._span = slice(rows[0], rows[-1] + 1) if rows == tuple(range(rows[0], rows[-1] + 1)) else None
        self._row_index = torch.tensor(rows, device=device)
        self._position_index = torch.tensor(selection.positions, device=device)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store a layer's new keys and values; all that the selected rows may look at. Called by the model."""
        while len(self._blocks) <= layer_idx:
            self._blocks.append(_Layer())
        layer = self._blocks[layer_idx]
        layer.reserve(self._rows, self._cells, key_states, value_states)
        assert layer.keys is not None and layer.values is not None
        return self._put(layer.keys, key_states), self._put(layer.values, value_states)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self._selection.positions[0] if self._selection.positions else 0

    def get_mask_sizes(self, query_length: int, layer_idx: int) -> tuple[int, int]:
        return self._selection.width, 0

    def move(self, source: int, target: int, cells: int) -> None:
        """Copy a row's first cells over another row."""
        for block in self._tensors():
            block[target, :, :cells] = block[source, :, :cells]

    def wipe(self, row: int) -> None:
        """Forget a row whose numbers may not be numbers: times nothing, they would still not be."""
        for block in self._tensors():
            block[row : row + 1].zero_()  # a row that never came to an evaluation may not be there

    def _put(self, block: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        width = self._selection.width
        if len(self._selection.rows) > 1:
            block[self._row_index, :, self._position_index] = states[:, :, 0]
        else:
            row, position = self._selection.rows[0], self._selection.positions[0]
            block[row, :, position : position + states.shape[2]] = states[0]
        if self._span is not None:
            return block[self._span, :, :width]
        return block[self._row_index, :, :width]

    def _tensors(self) -> Sequence[torch.Tensor]:
        found = (tensor for layer in self._blocks for tensor in (layer.keys, layer.values))
        return [tensor for tensor in found if tensor is not None]


def _grow(block: torch.Tensor | None, rows: int, cells: int, like: torch.Tensor) -> torch.Tensor:
    if block is not None and block.shape[0] >= rows and block.shape[2] >= cells:
        return block
    grown = torch.zeros((rows, like.shape[1], cells, like.shape[3]), dtype=like.dtype, device=like.device)
    if block is not None:
        grown[: block.shape[0], :, : block.shape[2]] = block
    return grown
