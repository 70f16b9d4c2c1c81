"""What is known of a model before it is loaded: architecture, size, context, chat template, and whether it fits."""

from __future__ import annotations

import math
import re
from pathlib import Path

import msgspec
import psutil

from workbench import files
from workbench.errors import ModelError, WorkbenchError
from workbench.models.gguf_header import GgufHeader, describe_gguf_kind, read_header
from workbench.models.hf_folder import inspect_folder
from workbench.models.reference import Model, ModelInfo
from workbench.models.untrusted_files import is_regular, read_object
from workbench.units import format_bytes

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


def inspect_model(model: Model) -> ModelInfo:
    """What is known of a model. Raises ModelError when it cannot be read, or has a format without a
    header."""
    if model.format not in ("scripted", "remote"):
        info = inspect_gguf(model.path) if model.format == "gguf" else inspect_folder(model.path)
        return info if model.chat_template is None else _with_template(info)
    raise ModelError(f"{model.location} has no header to look into (its format is {model.format}).", "Load it instead.")


def inspect_gguf(path: Path) -> ModelInfo:
    """What a GGUF file's header says; with several parts, what all of them say together.

    Raises ModelError: not a GGUF file, truncated, damaged, an adapter or a projector instead of a model.
    """
    parts = read_parts(path)
    header = parts[0]
    file_bytes = sum(part.file_bytes for part in parts)
    trained = read_integer(header, "context_length")
    return ModelInfo(
        architecture=_text(header, "general.architecture"),
        quantization=_quantization(header),
        parameters=sum(tensor.elements for part in parts for tensor in part.tensors),
        file_bytes=file_bytes,
        context_trained_tokens=trained,
        vocabulary=header.lengths.get("tokenizer.ggml.tokens", 0),
        has_chat_template="tokenizer.chat_template" in header.metadata,
        memory_bytes=file_bytes
        + kv_bytes_per_token(header) * min(trained or USUAL_CONTEXT_TOKENS, USUAL_CONTEXT_TOKENS),
        kv_bytes_per_token=kv_bytes_per_token(header),
    )


def read_parts(path: Path) -> list[GgufHeader]:
    """The headers of a GGUF model's file and of all its further parts. Raises ModelError as `inspect_gguf` does."""
    header = read_header(path)
    _check_kind(path, header)
    _check_epsilons(path, header)
    return [header, *(read_header(part) for part in _other_parts(path, header))]


def kv_bytes_per_token(header: GgufHeader) -> int:
    """Bytes of KV cache that one token takes, in half precision; an upper estimate for mixed
    architectures."""
    groups = _get(header, "attention.head_count_kv")
    if isinstance(groups, tuple):
        return sum(map(_bounded, groups)) * _kv_group_bytes(header)
    return read_integer(header, "block_count") * kv_bytes_of_layer(header, 0)


def kv_bytes_of_layer(header: GgufHeader, layer: int) -> int:
    """The same for one layer."""
    groups = _get(header, "attention.head_count_kv")
    if isinstance(groups, tuple):
        return (_bounded(groups[layer]) if layer < len(groups) else 0) * _kv_group_bytes(header)
    return (_bounded(groups) or read_integer(header, "attention.head_count") or 1) * _kv_group_bytes(header)


def _kv_group_bytes(header: GgufHeader) -> int:
    width = read_integer(header, "embedding_length") // (read_integer(header, "attention.head_count") or 1)
    keys = read_integer(header, "attention.key_length") or width
    return (keys + (read_integer(header, "attention.value_length") or width)) * 2


def check_fits(info: ModelInfo, context_tokens: int, free_bytes: int | None = None) -> None:
    """Raise ModelError, with the numbers, when weights and KV cache need more memory than is free.

    free_bytes: None asks the system.
    """
    free = psutil.virtual_memory().available if free_bytes is None else free_bytes
    cache = info.kv_bytes_per_token * context_tokens
    if info.file_bytes + cache > free:
        raise ModelError(
            f"The model is too big for the free memory: it needs {format_bytes(info.file_bytes)} for its weights and"
            f" {format_bytes(cache)} for a context of {context_tokens:,} tokens, and {format_bytes(free)} are free.",
            "Choose a smaller quantisation or a smaller context, or unload another model.",
        )


def _check_kind(path: Path, header: GgufHeader) -> None:
    """Raise ModelError for a GGUF file that cannot answer by itself, which names it as what it is."""
    found = describe_gguf_kind(header)
    if found == "a model":
        return
    hints = {
        "a projector for images": "Choose the model itself.",
        "a vocabulary without a model": "Fetch the model that it belongs to.",
        "something else, and does not name its architecture": "Convert or fetch the model again.",
    }
    hint = "Choose the base model; the adapter is applied to it." if "adapter" in found else "Choose the model itself."
    if found.startswith("part "):
        hint = "Choose the first part."
    raise ModelError(f"{path} is {found}, not a language model.", hints.get(found, hint))


def _check_epsilons(path: Path, header: GgufHeader) -> None:
    """Raise ModelError for a number beside a norm that ends llama.cpp's process in its first step."""
    for name in ("layer_norm_epsilon", "layer_norm_rms_epsilon", "group_norm_epsilon"):
        value = _get(header, f"attention.{name}")
        if isinstance(value, float) and not 0 <= value < math.inf:
            raise ModelError(
                f"{path} is damaged: its {name} is {value:g}, and a norm needs a number from 0 on.",
                "Fetch the file again.",
            )


def _other_parts(path: Path, header: GgufHeader) -> list[Path]:
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


def _quantization(header: GgufHeader) -> str:
    file_type = header.metadata.get("general.file_type")
    if isinstance(file_type, int) and file_type in _FILE_TYPES:
        return _FILE_TYPES[file_type]
    weights: dict[int, int] = {}
    for tensor in header.tensors:
        weights[tensor.type] = weights.get(tensor.type, 0) + tensor.elements
    return _TENSOR_TYPES.get(max(weights, key=lambda kind: weights[kind]), "mixed") if weights else "unknown"


def _get(header: GgufHeader, key: str) -> object:
    return header.metadata.get(f"{header.metadata.get('general.architecture')}.{key}")


def read_integer(header: GgufHeader, key: str) -> int:
    """A count under a key of the model's architecture; of several the largest; 0 for what is none."""
    value = _get(header, key)
    return max(map(_bounded, value), default=0) if isinstance(value, tuple) else _bounded(value)


def _bounded(value: object) -> int:
    """A count that a header gives; 0 for what cannot be one."""
    return value if isinstance(value, int) and 0 <= value < _LARGEST_COUNT else 0


def _text(header: GgufHeader, key: str) -> str:
    value = header.metadata.get(key)
    return value if isinstance(value, str) else ""


def _with_template(info: ModelInfo) -> ModelInfo:
    return msgspec.structs.replace(info, has_chat_template=True)


def read_template_text(model: Model) -> str:
    """The template that the model's messages go through; "" where it has none, or none that can be read."""
    if model.chat_template is not None:
        return model.chat_template
    try:
        if model.format == "gguf":
            return str(read_header(model.path).metadata.get("tokenizer.chat_template", ""))
        if model.format == "hf":
            return _read_folder(model)
    except WorkbenchError:
        return ""  # loading the model says what is wrong with it
    return ""


def is_dated(model: Model) -> bool:
    """Whether the model's chat template writes the day into each prompt."""
    return "strftime_now" in read_template_text(model)


def _read_folder(model: Model) -> str:
    own = model.path / "chat_template.jinja"
    if own.is_file():
        return files.read_text(own)
    name = "chat_template.json" if (model.path / "chat_template.json").is_file() else "tokenizer_config.json"
    found = read_object(model.path / name).get("chat_template") if (model.path / name).is_file() else ""
    return found if isinstance(found, str) else " ".join(map(str, found or ()))
