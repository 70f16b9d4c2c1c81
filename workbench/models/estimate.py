"""Estimate: the memory that a model's process takes with adapters laid over it, against what is free.

Knows nothing of engines; what a process takes besides weights and caches was measured (see the constants).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import NamedTuple

import psutil

from workbench.errors import ModelError
from workbench.models.adapter import AdapterInfo, inspect_adapter
from workbench.models.cache_size import shared_cells
from workbench.models.precision import expect_in_memory
from workbench.models.reference import Adapter, Format, Model, ModelInfo

PROCESS_BYTES = {"gguf": 65 * 2**20, "hf": 422 * 2**20}
"""What an engine's process has before it loads anything: Python, its libraries, and their tables."""
_BUFFER_PART = 0.16
"""What llama.cpp's buffers take beside a cache, as a part of it, once a batch was computed."""
_LOGITS_BYTES, _LOGITS_MOST = 4 * 160, 32 * 2**20
"""Bytes of the last layer's values for each token of the vocabulary, and at most. All were measured with models of 2
and 135 million parameters and contexts of 1,024 to 8,192 tokens."""


class Estimate(NamedTuple):
    """Bytes: of the weights, of the KV caches of the bare model and of each set of adapters, of the adapters, and of
    the process and its buffers."""

    weights: int
    caches: int
    adapters: int
    free: int
    overhead: int = 0

    @property
    def total(self) -> int:
        return self.weights + self.caches + self.adapters + self.overhead

    @property
    def fits(self) -> bool:
        return self.total <= self.free

    def check(self) -> None:
        """Raise ModelError, with the numbers, when it does not fit."""
        if not self.fits:
            raise ModelError(
                f"Too little memory is free: {_size(self.weights)} for weights, {_size(self.caches)} for caches,"
                f" {_size(self.adapters)} for adapters and {_size(self.overhead)} for the process and its buffers make"
                f" {_size(self.total)}, and {_size(self.free)} are free.",
                "Choose a smaller quantisation or a smaller context, use fewer sets of adapters at once, or unload"
                " another model.",
            )


def estimate_memory(
    info: ModelInfo,
    context_tokens: int,
    adapters: Sequence[AdapterInfo] = (),
    sets: int = 0,
    free_bytes: int | None = None,
    form: Format = "gguf",
) -> Estimate:
    """The memory of a model with a cache for the bare model, shared by its requests, and one for each set of adapters.

    adapters: every different one, which is loaded once however many sets it is in. free_bytes: None asks the system.
    form: of the model; a Hugging Face one begins with the cache of one context, which grows as it is needed.
    """
    free = psutil.virtual_memory().available if free_bytes is None else free_bytes
    bare = shared_cells(info, context_tokens, free) if form == "gguf" else context_tokens
    cells = bare + context_tokens * sets
    logits = min(_LOGITS_BYTES * info.vocabulary, _LOGITS_MOST)
    buffers = int(_BUFFER_PART * info.cell_bytes * cells) + logits * (1 + sets) if form == "gguf" else 0
    laid = sum(adapter.parameters * 4 for adapter in adapters)
    overhead = PROCESS_BYTES.get(form, 0) + buffers
    return Estimate(info.file_bytes, info.cell_bytes * cells, laid, free, overhead)


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
    return estimate_memory(expect_in_memory(model), context_tokens, known, int(bool(known)), free_bytes, model.format)


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
