"""How large a model is opened, whichever engine runs it: context, cache, and prompt tokens in one step.

Everything follows from the file and the machine, nothing from measured times, so that the same run computes the same
numbers.
"""

from __future__ import annotations

from workbench.errors import ModelError
from workbench.models.reference import Model, ModelInfo

PROMPT_CACHE_BYTES = 512 * 2**20
"""Memory that prefixes which nobody needs just now take at most, unless the settings say otherwise."""

_SPARE_PART = 16
"""A cache that nobody has asked for yet takes at most this part of the free memory."""

_SMALL_BYTES = 300 * 2**20


def context_size(model: Model, info: ModelInfo, most: int) -> int:
    """Tokens that one conversation may have: what the model asks for, else what it was trained with up to `most`.

    Raises ModelError for a size that is none.
    """
    if model.context_tokens is not None and model.context_tokens < 1:
        raise ModelError(
            f"{model.name} asks for a context of {model.context_tokens} tokens; expected 1 or more.",
            "Correct context_tokens in the bench, or leave it out.",
        )
    return model.context_tokens or min(info.context_trained_tokens or most, most)


def adapter_cells(info: ModelInfo, context_tokens: int, free_bytes: int) -> int:
    """Tokens of KV cache for a set of adapters on weights that are loaded: one context, which its requests share.

    Raises ModelError, with the numbers, when there is no memory for one.
    """
    needed = info.kv_bytes_per_token * context_tokens
    if needed > free_bytes:
        raise ModelError(
            f"There is no memory for one more set of adapters: its context needs {needed // 2**20:,} MiB, and"
            f" {free_bytes // 2**20:,} MiB are free.",
            "Use fewer sets at once, or give the model a smaller context.",
        )
    return context_tokens


def fits_spare(cache_bytes: int, free_bytes: int) -> bool:
    """Whether there is memory for a cache that nobody has asked for yet."""
    return cache_bytes * _SPARE_PART <= free_bytes


def prefill_chunk(info: ModelInfo) -> int:
    """Prompt tokens in one step: fewer for large models, whose steps would keep a cancel waiting."""
    limits = ((_SMALL_BYTES, 256), (2 * 2**30, 128), (8 * 2**30, 64))
    return next((tokens for limit, tokens in limits if info.file_bytes < limit), 32)
