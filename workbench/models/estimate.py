"""Estimate: the memory that a model takes with adapters laid over it, against what is free.

Knows nothing of engines; it counts what the files say and adds nothing for what a library itself needs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import NamedTuple

import psutil

from workbench.errors import ModelError
from workbench.models.adapter import AdapterInfo, inspect_adapter
from workbench.models.precision import expect_in_memory
from workbench.models.reference import Adapter, Model, ModelInfo


class Estimate(NamedTuple):
    """Bytes: of the weights, of the KV caches of the bare model and of each set of adapters, of the adapters."""

    weights: int
    caches: int
    adapters: int
    free: int

    @property
    def total(self) -> int:
        return self.weights + self.caches + self.adapters

    @property
    def fits(self) -> bool:
        return self.total <= self.free

    def check(self) -> None:
        """Raise ModelError, with the numbers, when it does not fit."""
        if not self.fits:
            raise ModelError(
                f"Too little memory is free: {_size(self.weights)} for weights, {_size(self.caches)} for caches and"
                f" {_size(self.adapters)} for adapters make {_size(self.total)}, and {_size(self.free)} are free.",
                "Choose a smaller quantisation or a smaller context, use fewer sets of adapters at once, or unload"
                " another model.",
            )


def estimate_memory(
    info: ModelInfo,
    context_tokens: int,
    adapters: Sequence[AdapterInfo] = (),
    sets: int = 0,
    free_bytes: int | None = None,
) -> Estimate:
    """The memory of a model with a context of its own for the bare model and for each set of adapters.

    adapters: every different one, which is loaded once however many sets it is in. free_bytes: None asks the system.
    """
    free = psutil.virtual_memory().available if free_bytes is None else free_bytes
    caches = info.cell_bytes * context_tokens * (1 + sets)
    return Estimate(info.file_bytes, caches, sum(adapter.parameters * 4 for adapter in adapters), free)


def estimate_pane(
    model: Model, adapters: Sequence[Adapter], context_tokens: int, free_bytes: int | None = None
) -> Estimate:
    """The memory of a model that is not loaded yet, with a pane's adapters laid over it.

    Adapters that cannot be read count for nothing; what is wrong with them is told elsewhere. Raises ModelError for a
    model that cannot be read.
    """
    known = []
    for adapter in {adapter.path: adapter for adapter in adapters}.values():
        with contextlib.suppress(ModelError):
            known.append(inspect_adapter(adapter))
    return estimate_memory(expect_in_memory(model), context_tokens, known, int(bool(known)), free_bytes)


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
