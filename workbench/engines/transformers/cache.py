"""The keys and values of many rows in one block of memory, so that rows of any length are evaluated together.

Rows enter and leave without a word: nothing is padded or packed anew for them. A row's token at position p lies in
cell p. What a row may see is said by the mask (see memory.py); cells beyond that hold old numbers, which are finite and
weigh nothing. Knows nothing of requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from transformers.cache_utils import Cache

FIRST_CELLS = 256

Layers = Sequence[tuple[torch.Tensor, torch.Tensor]]
"""Keys and values of each layer, as [heads, tokens, width]."""


class _Layer:
    """One layer's block: keys and values as [rows, heads, cells, width]."""

    def __init__(self) -> None:
        self.keys: torch.Tensor | None = None
        self.values: torch.Tensor | None = None

    def reserve(self, rows: int, cells: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        self.keys = _grow(self.keys, rows, cells, keys)
        self.values = _grow(self.values, rows, cells, values)


class Selection(NamedTuple):
    """Where the next tokens go: as many in each of the rows, from its position on."""

    rows: tuple[int, ...]
    positions: tuple[int, ...]
    width: int
    """cells that are looked at"""


class RowCache(Cache):  # type: ignore[misc]  # transformers comes without types
    """Cache over rows; `select` before each forward pass.

    most_rows, most_cells: what it grows to, by doubling, when it is needed. check: called in every layer; whatever it
    raises leaves the pass.
    """

    def __init__(self, most_rows: int, most_cells: int, check: Callable[[], None]) -> None:
        super().__init__(layers=[])
        self._most = (most_rows, most_cells)
        self._check = check
        self._blocks: list[_Layer] = []
        self._rows = 0
        self._cells = 0
        self._selection = Selection((), (), 0)

    def select(self, selection: Selection, device: torch.device) -> None:
        """Say where the tokens of the next forward pass belong, and make room for them."""
        self._selection = selection
        rows = selection.rows
        self._rows = _enough(self._rows, max(rows) + 1, 1, self._most[0])
        self._cells = _enough(self._cells, selection.width, FIRST_CELLS, self._most[1])
        self._span = slice(rows[0], rows[-1] + 1) if rows == tuple(range(rows[0], rows[-1] + 1)) else None
        self._row_index = torch.tensor(rows, device=device)
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
            self._blocks.append(_Layer())
        layer = self._blocks[layer_idx]
        layer.reserve(self._rows, self._cells, key_states, value_states)
        assert layer.keys is not None and layer.values is not None
        return self._put(layer.keys, key_states), self._put(layer.values, value_states)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self._selection.positions[0] if self._selection.positions else 0

    def get_mask_sizes(self, query_length: int, layer_idx: int) -> tuple[int, int]:
        return self._selection.width, 0

    @property
    def size(self) -> tuple[int, int]:
        """Rows and cells that there are now."""
        return self._rows, self._cells

    @property
    def bytes(self) -> int:
        return sum(block.nbytes for block in self._tensors())

    def save(self, row: int, start: int, end: int) -> Layers:
        """A copy of a row's cells, in host memory."""
        return [
            (_copy(layer.keys[row, :, start:end]), _copy(layer.values[row, :, start:end]))
            for layer in self._blocks
            if layer.keys is not None and layer.values is not None
        ]

    def load(self, row: int, start: int, layers: Layers, device: torch.device) -> None:
        """Put cells into a row, from `start` on."""
        if layers:
            self.select(Selection((row,), (start,), start + layers[0][0].shape[1]), device)
        for number, (keys, values) in enumerate(layers):
            self._store(keys[None].to(device), values[None].to(device), number)

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
            count = states.shape[2]
            if count == 1:
                block[self._row_index, :, self._position_index] = states[:, :, 0]
            else:
                cells = self._position_index[:, None] + torch.arange(count, device=block.device)
                block[self._row_index[:, None], :, cells] = states.transpose(1, 2)
        else:
            row, position = self._selection.rows[0], self._selection.positions[0]
            block[row, :, position : position + states.shape[2]] = states[0]
        if self._span is not None:
            return block[self._span, :, :width]
        return block[self._row_index, :, :width]

    def _tensors(self) -> Sequence[torch.Tensor]:
        found = (tensor for layer in self._blocks for tensor in (layer.keys, layer.values))
        return [tensor for tensor in found if tensor is not None]


def _enough(now: int, wanted: int, first: int, most: int) -> int:
    """A size that holds what is wanted, and more than that for what comes."""
    return now if now >= wanted else max(wanted, min(max(first, now * 2), most))


def _copy(states: torch.Tensor) -> torch.Tensor:
    return states.to("cpu", copy=True, memory_format=torch.contiguous_format)


def _grow(block: torch.Tensor | None, rows: int, cells: int, like: torch.Tensor) -> torch.Tensor:
    if block is not None and block.shape[0] >= rows and block.shape[2] >= cells:
        return block
    grown = torch.zeros((rows, like.shape[1], cells, like.shape[3]), dtype=like.dtype, device=like.device)
    if block is not None:
        grown[: block.shape[0], :, : block.shape[2]] = block
    return grown
