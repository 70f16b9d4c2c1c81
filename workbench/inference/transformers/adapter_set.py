"""What a request runs on once its adapters are applied to the base."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import torch

from workbench.inference.transformers.kv_cache import KVCache, LoraBlend, SlotInput
from workbench.inference.transformers.slot_cache import Layers


@dataclass(frozen=True, eq=False)
class AppliedAdapters:
    """A way through the model.

    module: evaluates tokens; rows with the same module are evaluated together.
    blend: which of the module's adapters this row takes, with their scales; none where it has but one way to go.
    bare: the module is the base itself, so that its rows may as well go through a module that has many adapters.
    key: what it is made of; under another one, other numbers come of the same tokens.
    prefix, embeddings: what stands before the first token; at most one of them.
    """

    module: Any
    blend: LoraBlend = ()
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

    def begin(self, cache: KVCache, slot: int) -> int:
        """Prepare an empty row; the position of its first token."""
        if self.prefix is not None:
            cache.prepend(slot, self.prefix)
        elif self.embeddings is not None:
            cache.evaluate(self.module, [SlotInput(slot, 0, (), self.embeddings, self.blend)])
        return self.tokens
