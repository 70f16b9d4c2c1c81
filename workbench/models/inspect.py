"""What is known of a model before it is loaded: architecture, size, context, and whether it fits into memory.

Knows nothing of how a model is run.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import msgspec
import psutil

from workbench.errors import ModelError
from workbench.models.folder import inspect_folder
from workbench.models.foreign_file import is_regular
from workbench.models.gguf_kind import name_kind
from workbench.models.header import Header, read_header
from workbench.models.reference import Model, ModelInfo

_LARGEST_COUNT = 1 << 32
USUAL_CONTEXT_TOKENS = 8192
"""Context size that an estimate assumes where none is given."""

_FILE_TYPES = {
    **{0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S"},
    **{12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K"},
    **{19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL"},
    **{26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16"},
    **{36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4"},
}
_TENSOR_TYPES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    8: "Q8_0",
    12: "Q4_K",
    13: "Q5_K",
    14: "Q6_K",
    30: "BF16",
}
_SPLIT = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$", re.IGNORECASE)


def inspect(model: Model) -> ModelInfo:
    """What is known of a model. Raises ModelError when it cannot be read, or has a format without a
    header."""
    if model.format != "scripted":
        info = inspect_gguf(model.path) if model.format == "gguf" else inspect_folder(model.path)
        return info if model.chat_template is None else _with_template(info)
    raise ModelError(f"{model.path} has no header to look into (its format is {model.format}).", "Load it instead.")


def inspect_gguf(path: Path) -> ModelInfo:
    """What a GGUF file's header says; with several parts, what all of them say together.

    Raises ModelError: not a GGUF file, truncated, damaged, an adapter or a projector instead of a model.
    """
    parts = read_parts(path)
    header = parts[0]
    file_bytes = sum(part.file_bytes for part in parts)
    trained = _integer(header, "context_length")
    return ModelInfo(
        architecture=_text(header, "general.architecture"),
        quantization=_quantization(header),
        parameters=sum(tensor.elements for part in parts for tensor in part.tensors),
        file_bytes=file_bytes,
        context_trained_tokens=trained,
        vocabulary=header.lengths.get("tokenizer.ggml.tokens", 0),
        has_chat_template="tokenizer.chat_template" in header.metadata,
        memory_bytes=file_bytes + cell_bytes(header) * min(trained or USUAL_CONTEXT_TOKENS, USUAL_CONTEXT_TOKENS),
        cell_bytes=cell_bytes(header),
    )


def read_parts(path: Path) -> list[Header]:
    """The headers of a GGUF model's file and of all its further parts. Raises ModelError as `inspect_gguf` does."""
    header = read_header(path)
    _check_kind(path, header)
    _check_epsilons(path, header)
    return [header, *(read_header(part) for part in _other_parts(path, header))]


def cell_bytes(header: Header) -> int:
    """Bytes of KV cache that one token takes, in half precision; an upper estimate for mixed
    architectures."""
    heads = _integer(header, "attention.head_count") or 1
    width = _integer(header, "embedding_length") // heads
    keys = _integer(header, "attention.key_length") or width
    values = _integer(header, "attention.value_length") or width
    layers = _integer(header, "block_count")
    groups = _get(header, "attention.head_count_kv")
    if isinstance(groups, tuple):
        return sum(map(_bounded, groups)) * (keys + values) * 2
    return layers * (_bounded(groups) or heads) * (keys + values) * 2


def check_fits(info: ModelInfo, context_tokens: int, free_bytes: int | None = None) -> None:
    """Raise ModelError, with the numbers, when weights and KV cache need more memory than is free.

    free_bytes: None asks the system.
    """
    free = psutil.virtual_memory().available if free_bytes is None else free_bytes
    cache = info.cell_bytes * context_tokens
    if info.file_bytes + cache > free:
        raise ModelError(
            f"The model is too big for the free memory: it needs {_size(info.file_bytes)} for its weights and"
            f" {_size(cache)} for a context of {context_tokens:,} tokens, and {_size(free)} are free.",
            "Choose a smaller quantisation or a smaller context, or unload another model.",
        )


def _check_kind(path: Path, header: Header) -> None:
    """Raise ModelError for a GGUF file that cannot answer by itself, which names it as what it is."""
    found = name_kind(header)
    if found == "a model":
        return
    hints = {
        "a projector for images": "Choose the model itself.",
        "a vocabulary without a model": "Fetch the model that it belongs to.",
        "something else, and does not name its architecture": "Convert or fetch the model again.",
    }
    hint = "Choose the base model; an adapter is laid over it." if "adapter" in found else "Choose the model itself."
    if found.startswith("part "):
        hint = "Choose the first part."
    raise ModelError(f"{path} is {found}, not a language model.", hints.get(found, hint))


def _check_epsilons(path: Path, header: Header) -> None:
    """Raise ModelError for a number beside a norm that ends llama.cpp's process in its first step."""
    for name in ("layer_norm_epsilon", "layer_norm_rms_epsilon", "group_norm_epsilon"):
        value = _get(header, f"attention.{name}")
        if isinstance(value, float) and not 0 <= value < math.inf:
            raise ModelError(
                f"{path} is damaged: its {name} is {value:g}, and a norm needs a number from 0 on.",
                "Fetch the file again.",
            )


def _other_parts(path: Path, header: Header) -> list[Path]:
    count = header.metadata.get("split.count", 1)
    found = _SPLIT.search(path.name)
    if not isinstance(count, int) or count < 2 or not found:
        return []
    if int(found[1]) != 1:
        raise ModelError(f"{path} is part {int(found[1])} of {count}.", "Choose the first part.")
    names = [_SPLIT.sub(f"-{number:05d}-of-{found[2]}.gguf", path.name) for number in range(2, min(count, 1000) + 1)]
    missing = [name for name in names if not is_regular(path.with_name(name))]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise ModelError(
            f"{path} has {count} parts, and these are missing: {', '.join(missing[:5])}{more}.", "Fetch them as well."
        )
    return [path.with_name(name) for name in names]


def _quantization(header: Header) -> str:
    file_type = header.metadata.get("general.file_type")
    if isinstance(file_type, int) and file_type in _FILE_TYPES:
        return _FILE_TYPES[file_type]
    weights: dict[int, int] = {}
    for tensor in header.tensors:
        weights[tensor.type] = weights.get(tensor.type, 0) + tensor.elements
    return _TENSOR_TYPES.get(max(weights, key=lambda kind: weights[kind]), "mixed") if weights else "unknown"


def _get(header: Header, key: str) -> object:
    return header.metadata.get(f"{header.metadata.get('general.architecture')}.{key}")


def _integer(header: Header, key: str) -> int:
    value = _get(header, key)
    return max(map(_bounded, value), default=0) if isinstance(value, tuple) else _bounded(value)


def _bounded(value: object) -> int:
    """A count that a header gives; 0 for what cannot be one."""
    return value if isinstance(value, int) and 0 <= value < _LARGEST_COUNT else 0


def _text(header: Header, key: str) -> str:
    value = header.metadata.get(key)
    return value if isinstance(value, str) else ""


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def _with_template(info: ModelInfo) -> ModelInfo:
    return msgspec.structs.replace(info, has_chat_template=True)
