"""Memory that a model takes: weights in a precision, KV cache, adapters and buffers, against what is free."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import psutil

from workbench.errors import ModelError
from workbench.models.adapter_info import AdapterInfo
from workbench.models.device_share import DeviceShare
from workbench.models.hf_folder import find_weights
from workbench.models.model_info import inspect_model
from workbench.models.reference import Format, Model, ModelInfo
from workbench.models.safetensors_header import read_tensors
from workbench.offload import KV_BYTES, Offload
from workbench.units import format_bytes, format_plural

SEQUENCES = 16
"""Max concurrent requests."""

CACHE_BYTES = 2 * 2**30
"""Max memory of the KV cache, unless a single context needs more."""

SHARED_CONTEXTS = 6
"""Whole contexts in a KV cache that all requests share: few are as long as a context, and such a one waits for others
to end."""


def kv_cache_tokens(info: ModelInfo, context_tokens: int, free_bytes: int) -> int:
    """Tokens of KV cache: as many whole contexts as sequences, if memory allows, and at least one."""
    spare = min(CACHE_BYTES, (free_bytes - info.file_bytes) // 2)
    contexts = spare // max(1, info.kv_bytes_per_token * context_tokens)
    return context_tokens * max(1, min(SEQUENCES, contexts))


def shared_kv_cache_tokens(info: ModelInfo, context_tokens: int, free_bytes: int) -> int:
    """The same for a KV cache that all requests share."""
    return min(kv_cache_tokens(info, context_tokens, free_bytes), SHARED_CONTEXTS * context_tokens)


BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
_STORED = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_PACKED = {"8bit": 1.0, "4bit": 0.5625}
"""Bytes of a packed weight; four bits come with one scale for every 64 of them."""


def expect_in_memory(model: Model) -> ModelInfo:
    """What a model's header says, with the sizes that it will have in this machine's memory. Raises ModelError."""
    info = inspect_model(model)
    if model.format != "hf":
        return with_kv_type(info, model.offload)
    return size_in_memory(model, info, model.dtype or _choose_dtype(info.quantization))


def with_kv_type(info: ModelInfo, offload: Offload) -> ModelInfo:
    """A GGUF model with the sizes that its KV cache has in numbers of the type that is asked for."""
    if offload.kv_type == "f16":
        return info
    cell = int(info.kv_bytes_per_token * KV_BYTES[offload.kv_type] / KV_BYTES["f16"])
    cache = (info.memory_bytes - info.file_bytes) // max(1, info.kv_bytes_per_token) * cell
    return msgspec.structs.replace(info, kv_bytes_per_token=cell, memory_bytes=info.file_bytes + cache)


def size_in_memory(model: Model, info: ModelInfo, dtype: str) -> ModelInfo:
    """The same model with the sizes that its weights and its cache have in these numbers.

    A checkpoint that is stored packed stays as it is.
    """
    stored = BYTES.get(_STORED.get(info.quantization, ""), 0)
    if not stored:
        return info
    wanted = BYTES[dtype]
    weights = info.file_bytes * wanted // stored
    if model.quantization:
        linear = _count_linear(model.path)
        weights = int((info.parameters - linear) * wanted + linear * _PACKED[model.quantization])
    cell = info.kv_bytes_per_token * wanted // (4 if info.quantization == "F32" else 2)
    cache = (info.memory_bytes - info.file_bytes) // max(1, info.kv_bytes_per_token) * cell
    return msgspec.structs.replace(
        info, dtype=dtype, file_bytes=weights, kv_bytes_per_token=cell, memory_bytes=weights + cache
    )


def _choose_dtype(stored: str) -> str:
    """What the engine will choose on a processor."""
    return "bfloat16" if stored == "BF16" and computes_bfloat16() else "float32"


@functools.cache
def computes_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 by itself, as far as the system tells."""
    try:
        return "avx512_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def _count_linear(folder: Path) -> int:
    """The weights of linear layers, which are packed; embeddings and the head are not."""
    problems: list[str] = []
    tensors = [item for file in find_weights(folder, problems) for item in read_tensors(file).tensors.items()]
    if problems:
        raise ModelError(f"{folder} cannot be used: {'; '.join(problems)}.", "Fetch the folder again, whole.")
    kept = ("embed_tokens.weight", "lm_head.weight", "wte.weight", "wpe.weight", "embed_in.weight", "embed_out.weight")
    return sum(tensor.elements for name, tensor in tensors if len(tensor.shape) == 2 and not name.endswith(kept))


PROCESS_BYTES = {"gguf": 65 * 2**20, "hf": 422 * 2**20}
"""What an engine's process has before it loads anything: Python, its libraries, and their tables."""
_BUFFER_PART = 0.16
"""What llama.cpp's buffers take beside a cache, as a part of it, once a batch was computed."""
_LOGITS_BYTES, _LOGITS_MOST = 4 * 160, 32 * 2**20
"""Bytes of the last layer's values for each token of the vocabulary, and at most. All were measured with models of 2
and 135 million parameters and contexts of 1,024 to 8,192 tokens."""


class MemoryEstimate(NamedTuple):
    """Bytes of RAM: of the weights, of the KV caches of the bare model and of each set of adapters, of the adapters,
    and of the process and its buffers. free: before anything of the model is there.

    shares: what is on each device instead. layers: those that the CPU computes, the output among them, where there are
    devices. expert_layers: layers on devices whose experts are in RAM.
    """

    weights: int
    caches: int
    adapters: int
    free: int
    overhead: int = 0
    shares: tuple[DeviceShare, ...] = ()
    layers: int = 0
    expert_layers: int = 0

    @property
    def total(self) -> int:
        """Bytes of RAM, those of devices that compute in it among them."""
        return self.weights + self.caches + self.adapters + self.overhead + self.unified

    @property
    def unified(self) -> int:
        """Bytes on devices that compute in RAM."""
        return sum(share.bytes for share in self.shares if share.device.shares_ram)

    @property
    def everywhere(self) -> int:
        """Bytes of RAM and of all devices."""
        return self.total + sum(share.bytes for share in self.shares) - self.unified

    @property
    def fits_ram(self) -> bool:
        return self.total <= self.free

    @property
    def fits(self) -> bool:
        return self.fits_ram and all(share.fits for share in self.shares)

    def check(self) -> None:
        """Raise ModelError, with the numbers, when it does not fit."""
        for share in self.shares:
            if not share.fits:
                raise ModelError(
                    f"Not enough free memory on {share.device.name}: {format_plural(share.layers, 'layer')} take"
                    f" {format_bytes(share.bytes)}, and {format_bytes(share.device.free_bytes)} are free.",
                    "Offload fewer layers, or write gpu_layers: auto.",
                )
        if not self.fits_ram:
            weights, caches, adapters = map(format_bytes, (self.weights, self.caches, self.adapters))
            overhead, total, free = map(format_bytes, (self.overhead, self.total, self.free))
            raise ModelError(
                f"Not enough free memory: {weights} for weights, {caches} for caches, {adapters} for adapters and"
                f" {overhead} for the process and its buffers make {total}, but only {free} are free.",
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
) -> MemoryEstimate:
    """The memory of a model with a cache for the bare model, shared by its requests, and one for each set of adapters.

    adapters: every different one, which is loaded once however many sets it is in. free_bytes: None asks the system.
    form: of the model; a Hugging Face one begins with the cache of one context, which grows as it is needed.
    """
    free = psutil.virtual_memory().available if free_bytes is None else free_bytes
    bare = shared_kv_cache_tokens(info, context_tokens, free) if form == "gguf" else context_tokens
    cells = bare + context_tokens * sets
    logits = min(_LOGITS_BYTES * info.vocabulary, _LOGITS_MOST)
    buffers = int(_BUFFER_PART * info.kv_bytes_per_token * cells) + logits * (1 + sets) if form == "gguf" else 0
    adapter_bytes = sum(adapter.parameters * 4 for adapter in adapters)
    overhead = PROCESS_BYTES.get(form, 0) + buffers
    return MemoryEstimate(info.file_bytes, info.kv_bytes_per_token * cells, adapter_bytes, free, overhead)
