"""How many tokens the KV cache of a model that is opened has, by the model's size and the memory that is free.

Knows nothing of engines; they open their caches by it, so that an estimate before loading is what is opened.
"""

from __future__ import annotations

from workbench.models.reference import ModelInfo

SEQUENCES = 16
"""Requests that are answered at the same time at most."""

CACHE_BYTES = 2 * 2**30
"""Memory that the KV cache takes at most, unless a single context needs more."""

SHARED_CONTEXTS = 6
"""Whole contexts in a cache whose cells all requests share: few are as long as a context, and each of them waits only
until others end."""


def cache_cells(info: ModelInfo, context_tokens: int, free_bytes: int) -> int:
    """Cells of KV cache: as many whole contexts as there are sequences, if memory allows, and always one."""
    spare = min(CACHE_BYTES, (free_bytes - info.file_bytes) // 2)
    contexts = spare // max(1, info.cell_bytes * context_tokens)
    return context_tokens * max(1, min(SEQUENCES, contexts))


def shared_cells(info: ModelInfo, context_tokens: int, free_bytes: int) -> int:
    """The same of a cache whose cells all requests share."""
    return min(cache_cells(info, context_tokens, free_bytes), SHARED_CONTEXTS * context_tokens)
