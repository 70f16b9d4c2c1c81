"""Precision: how large a Hugging Face model's weights become in memory, in the numbers it is to be computed in.

Knows nothing of torch, nor of which device there is: the engine says that, and elsewhere a processor is assumed.
"""

from __future__ import annotations

import functools
from pathlib import Path

import msgspec

from workbench.errors import ModelError
from workbench.models.folder import find_weights
from workbench.models.inspect import inspect
from workbench.models.reference import Model, ModelInfo
from workbench.models.tensors import read_tensors

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
_STORED = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_PACKED = {"8bit": 1.0, "4bit": 0.5625}
"""Bytes of a packed weight; four bits come with one scale for every 64 of them."""


def expect_in_memory(model: Model) -> ModelInfo:
    """What a model's header says, with the sizes that it will have in this machine's memory. Raises ModelError."""
    info = inspect(model)
    if model.format != "hf":
        return info
    return size_in_memory(model, info, model.dtype or _choose_dtype(info.quantization))


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
    cell = info.cell_bytes * wanted // (4 if info.quantization == "F32" else 2)
    cache = (info.memory_bytes - info.file_bytes) // max(1, info.cell_bytes) * cell
    return msgspec.structs.replace(info, dtype=dtype, file_bytes=weights, cell_bytes=cell, memory_bytes=weights + cache)


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
