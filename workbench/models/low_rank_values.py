"""The values of a LoRA's pairs, as numpy arrays that can be multiplied.

Knows nothing of what is done with them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.models.arrays import read_array
from workbench.models.low_rank import Half, Pair

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def read_factors(path: Path, pair: Pair) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Up ([experts,] outputs, rank) and down ([experts,] rank, inputs) of a pair. Raises ModelError."""
    up, down = read_half(path, pair.up), read_half(path, pair.down)
    return up, down.swapaxes(-1, -2) if pair.turned else down


def read_half(path: Path, half: Half) -> NDArray[np.float32]:
    """The values of one tensor. Raises ModelError."""
    return read_array(path, half.dtype, half.shape, half.offset)
