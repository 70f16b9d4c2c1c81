"""Convert: a Hugging Face folder to one GGUF file, with its tokenizer and chat template inside.

Knows nothing of engines or of where models are looked for, nor of how architectures
differ (architectures.py). It loads torch: run it in a process of its own.
Sources: the GGUF specification; the key and tensor names of the `gguf` package.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import gguf
import numpy as np
import numpy.typing as npt
import torch
from gguf.quants import quantize
from safetensors import safe_open

from workbench.errors import ModelError
from workbench.models import gguf_tokenizer
from workbench.models.architectures import (
    change_weights,
    context_tokens,
    find_architecture,
    find_problems,
    head_width,
    rope,
    rope_factors,
    rotated_width,
)

Quantization = Literal["f32", "f16", "q8_0", "q4_0"]
Array = npt.NDArray[Any]

BLOCK = 32
"""numbers that share one scale in q8_0 and q4_0; a row must be a multiple of it"""
TYPES = {
    "f32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
    "f16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
    "q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
    "q4_0": (gguf.GGMLQuantizationType.Q4_0, gguf.LlamaFileType.MOSTLY_Q4_0),
}


def convert_hf_to_gguf(folder: Path, out: Path, quantization: Quantization) -> None:
    """Write the model in `folder` to `out`, all at once or not at all.

    Norms stay f32; in q4_0 the token embedding, which is also the output head of a tied model, is kept in q8_0.
    Raises ModelError that names everything in the folder that cannot be converted.
    """
    config = _read_json(folder, "config.json")
    tokenizer = _read_json(folder, "tokenizer.json")
    problems = [*_config_problems(config), *gguf_tokenizer.find_problems(tokenizer)]
    if problems:
        raise ModelError(
            f"Cannot convert {folder} to GGUF: " + "; ".join(problems) + ".",
            "Fetch a GGUF file of this model instead, if somebody has made one.",
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
        written = Path(scratch) / out.name
        _write(folder, config, tokenizer, written, quantization)
        written.replace(out)


def _write(
    folder: Path, config: dict[str, Any], tokenizer: dict[str, Any], out: Path, quantization: Quantization
) -> None:
    kind = find_architecture(config)
    assert kind
    writer = gguf.GGUFWriter(out, kind.name)
    _add_shape(writer, folder, config, quantization)
    settings = _read_json(folder, "tokenizer_config.json", needed=False)
    gguf_tokenizer.add_tokenizer(writer, tokenizer, settings, config)
    _add_template(writer, folder, settings)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[kind.name.upper()], config["num_hidden_layers"])
    factors = rope_factors(config)
    if factors is not None:
        writer.add_tensor("rope_freqs.weight", factors)
    unknown = []
    for name, array in _tensors(folder):
        if name == "lm_head.weight" and (kind.always_tied or config.get("tie_word_embeddings")):
            continue
        target = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if target is None:
            unknown.append(name)
            continue
        data, encoding = _encode(target, change_weights(name, array, config), quantization)
        writer.add_tensor(target, data, raw_dtype=encoding)
    if unknown:
        raise ModelError(f"Cannot convert {folder}: a {kind.name} model has no tensors named {', '.join(unknown)}.")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_shape(writer: gguf.GGUFWriter, folder: Path, config: dict[str, Any], quantization: Quantization) -> None:
    heads = config["num_attention_heads"]
    width = head_width(config)
    writer.add_name(folder.name)
    writer.add_file_type(TYPES[quantization][1])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(context_tokens(config))
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_rope_dimension_count(rotated_width(config))
    writer.add_rope_freq_base(rope(config).get("rope_theta", 10000.0))
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    if rope(config).get("rope_type") == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope(config)["factor"])
    if config.get("sliding_window") and context_tokens(config) > config["sliding_window"]:
        writer.add_sliding_window(config["sliding_window"])
    if config.get("attn_logit_softcapping"):
        writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
    if config.get("final_logit_softcapping"):
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])


def _add_template(writer: gguf.GGUFWriter, folder: Path, settings: dict[str, Any]) -> None:
    template = settings.get("chat_template")
    with contextlib.suppress(FileNotFoundError):
        template = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    if isinstance(template, str):
        writer.add_chat_template(template)


def _tensors(folder: Path) -> Iterator[tuple[str, Array]]:
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        raise ModelError(
            f"No .safetensors file in {folder}.", "Save the model with safetensors, the default of transformers."
        )
    for path in paths:
        with safe_open(path, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - the handle is not a mapping
                yield name, tensors.get_tensor(name).to(torch.float32).numpy()


def _encode(name: str, array: Array, quantization: Quantization) -> tuple[Array, gguf.GGMLQuantizationType]:
    kind = TYPES[quantization][0]
    if array.ndim < 2:
        kind = gguf.GGMLQuantizationType.F32
    elif quantization == "q4_0" and name.startswith(("token_embd", "output")):
        kind = gguf.GGMLQuantizationType.Q8_0
    if kind in (gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.Q4_0) and array.shape[-1] % BLOCK:
        kind = gguf.GGMLQuantizationType.F16
    return quantize(np.ascontiguousarray(array), kind), kind


def _config_problems(config: dict[str, Any]) -> Iterator[str]:
    yield from find_problems(config)
    needed = (
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "max_position_embeddings",
        "rms_norm_eps",
    )
    missing = [key for key in needed if key not in config]
    if missing:
        yield f"config.json lacks {', '.join(missing)}"


def _read_json(folder: Path, name: str, needed: bool = True) -> dict[str, Any]:
    path = folder / name
    if not path.is_file() and not needed:
        return {}
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelError(
            f"Cannot read {path}: {error.strerror}.",
            "A Hugging Face model folder holds config.json and tokenizer.json.",
        ) from error
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}.", "Download or save the model again.") from error
    if not isinstance(value, dict):
        raise ModelError(
            f"{path} holds a {type(value).__name__} instead of an object.", "Download or save the model again."
        )
    return value
