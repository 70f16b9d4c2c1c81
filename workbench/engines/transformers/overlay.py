"""Overlay: what a request runs on once its adapters are laid over the base.

Knows nothing of adapters' files (see adapters.py).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import torch

from workbench.engines.transformers.cache import Layers
from workbench.engines.transformers.memory import Memory, Recipe, Run


@dataclass(frozen=True, eq=False)
class Overlay:
    """A way through the model.

    module: evaluates tokens; rows with the same module are evaluated together.
    recipe: which of the module's adapters this row takes, with their scales; none where it has but one way to go.
    bare: the module is the base itself, so that its rows may as well go through a module that has many adapters.
    key: what it is made of; under another one, other numbers come of the same tokens.
    prefix, embeddings: what stands before the first token; at most one of them.
    """

    module: Any
    recipe: Recipe = ()
    bare: bool = False
    key: Hashable = ()
    prefix: Layers | None = None
    embeddings: torch.Tensor | None = None

    @property
    def tokens(self) -> int:
        """Cells that a row takes before its first token."""
        if self.prefix is not None:
            return int(self.prefix[0][0].shape[1])
        return 0 if self.embeddings is None else int(self.embeddings.shape[0])

    def begin(self, memory: Memory, row: int) -> int:
        """Prepare an empty row; the position of its first token."""
        if self.prefix is not None:
            memory.prepend(row, self.prefix)
        elif self.embeddings is not None:
            memory.evaluate(self.module, [Run(row, 0, (), self.embeddings, self.recipe)])
        return self.tokens
