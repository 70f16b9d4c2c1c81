"""How much a GGUF model's first context holds and computes at once, which its memory follows from.

Everything follows from the file and the free memory, so that it is known before the model is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence

from workbench.models.device_share import Device
from workbench.models.gguf_header import read_header
from workbench.models.memory_estimate import shared_kv_cache_tokens
from workbench.models.model import Model, ModelInfo
from workbench.models.offload_fit import BatchShape
from workbench.models.step_plan import PROMPT_TOKENS, ROWS

_OUTPUT_BYTES = 32 * 2**20
"""Memory for the logits of one batch, where a few sequences do not need more."""

_FEWEST_OUTPUTS, _MOST_OUTPUTS = 80, 512

EXTRA_ROWS = 32
"""Interactive requests that may join those that run."""


def choose_kv_tokens(
    model: Model, info: ModelInfo, context_tokens: int, devices: Sequence[Device], ram_bytes: int
) -> int:
    """Tokens of the first context's KV cache. ram_bytes: free RAM, which counts where there is no device."""
    if adapts_to_length(model):
        return context_tokens
    free = sum(device.free_bytes for device in devices) or ram_bytes
    return shared_kv_cache_tokens(info, context_tokens, free)


def expect_work(info: ModelInfo, kv_tokens: int) -> BatchShape:
    """What a context will compute at once, before its weights are there."""
    return BatchShape(kv_tokens, PROMPT_TOKENS + ROWS + EXTRA_ROWS, count_outputs(info))


def count_outputs(info: ModelInfo) -> int:
    """Tokens of a batch whose logits are wanted at most."""
    return min(_MOST_OUTPUTS, max(_FEWEST_OUTPUTS, _OUTPUT_BYTES // (4 * max(1, info.vocabulary))))


def adapts_to_length(model: Model) -> bool:
    """Whether the model computes positions differently once its context is opened for long texts.

    llama.cpp decides that by the whole cache's size, so such a model gets a cache of one context only.
    """
    return any(tensor.name.startswith("rope_factors_long") for tensor in read_header(model.path).tensors)
