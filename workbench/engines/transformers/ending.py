"""What stands behind a prompt that was evaluated: which token comes next.

Knows nothing of where it is kept.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray


class Ending(NamedTuple):
    """The likeliest token, and the numbers of all."""

    likeliest: int
    logits: torch.Tensor

    @property
    def nbytes(self) -> int:
        return self.logits.nbytes

    def copy(self) -> Ending:
        """The same in host memory, in the precision that sampling computes in."""
        return self._replace(logits=self.logits.to("cpu", torch.float32, copy=True))


def to_numbers(logits: torch.Tensor) -> NDArray[np.float32]:
    """A copy that may be changed."""
    numbers: NDArray[np.float32] = logits.to("cpu", torch.float32, copy=True).numpy()
    return numbers
