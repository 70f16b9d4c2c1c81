"""Converts a Hugging Face folder to one GGUF file, with its tokenizer and chat template.

It loads torch: run it in a process of its own. Sources: the GGUF specification; the key and tensor names of the `gguf`
package.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path
from typing import Any, Literal

import gguf
import numpy as np
import numpy.typing as npt
from gguf.quants import quantize

from workbench.errors import ModelError
from workbench.models import gguf_tokenizer
from workbench.models.hf_folder import read_effective_config
from workbench.models.hf_tokenizer import HfTokenizer, load_tokenizer
from workbench.models.hf_weights import (
    HfWeights,
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

HALF_MOST = 65504.0
BLOCK = 32
"""numbers that share one scale in q8_0 and q4_0; a row must be a multiple of it"""
TYPES = {
    "f32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
    "f16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
    "q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
    "q4_0": (gguf.GGMLQuantizationType.Q4_0, gguf.LlamaFileType.MOSTLY_Q4_0),
}


def convert_hf_to_gguf(folder: Path, out: Path, quantization: Quantization) -> tuple[str, ...]:
    """Write the model in `folder` to `out`, all at once or not at all; what a person should know of it.

    Norms stay f32; in q4_0 the token embedding, which is also the output head of a tied model, is kept in q8_0.
    Raises ModelError that names everything in the folder that cannot be converted.
    """
    config = read_effective_config(folder)
    tokenizer = load_tokenizer(folder, config)
    weights = HfWeights.open(folder)
    size = config["vocab_size"]
    problems = [*find_problems(config), *weights.problems(config)]
    problems += gguf_tokenizer.find_problems(tokenizer, size) if isinstance(size, int) else []
    if problems:
        raise ModelError(
            f"Cannot convert {folder} to GGUF: " + "; ".join(problems) + ".",
            "Fetch a GGUF file of this model instead, if somebody has made one.",
        )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
            written = Path(scratch) / out.name
            _write(folder, config, tokenizer, weights, written, quantization)
            written.replace(out)
    except OSError as error:
        raise ModelError(f"Cannot write {out}: {error.strerror}.", "Make room, or choose another folder.") from error
    return tuple(gguf_tokenizer.find_notes(tokenizer))


def _write(
    folder: Path,
    config: dict[str, Any],
    tokenizer: HfTokenizer,
    weights: HfWeights,
    out: Path,
    quantization: Quantization,
) -> None:
    kind = find_architecture(config)
    assert kind
    with contextlib.closing(gguf.GGUFWriter(out, kind.name)) as writer:
        writer.add_name(gguf_tokenizer.choose_name(_name(folder), tokenizer))
        _add_shape(writer, config, quantization)
        gguf_tokenizer.add_tokenizer(writer, tokenizer, config["vocab_size"])
        factors = rope_factors(config)
        if factors is not None:
            writer.add_tensor("rope_freqs.weight", factors)
        names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[kind.name.upper()], config["num_hidden_layers"])
        unknown = []
        for name, array in weights.tensors(config):
            target = names.get_name(name, try_suffixes=(".weight", ".bias"))
            if target is None:
                unknown.append(name)
                continue
            _check_numbers(name, array, quantization)
            data, encoding = _encode(target, change_weights(name, array, config), quantization)
            writer.add_tensor(target, data, raw_dtype=encoding)
        if unknown:
            raise ModelError(f"Cannot convert {folder}: a {kind.name} model has no tensors named {', '.join(unknown)}.")
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()


def _add_shape(writer: gguf.GGUFWriter, config: dict[str, Any], quantization: Quantization) -> None:
    heads = config["num_attention_heads"]
    width = head_width(config)
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


def _name(folder: Path) -> str:
    """What the model is called: the folder's name, or the repository's where the folder is one of its revisions."""
    for above in folder.absolute().parents:
        cached = re.fullmatch(r"models--.+?--(.+)", above.name)
        if cached:
            return cached[1]
    return folder.absolute().name


def _check_numbers(name: str, array: Array, quantization: Quantization) -> None:
    """Raise ModelError for weights that are no numbers, or that the file's numbers cannot hold."""
    if not np.isfinite(array).all():
        raise ModelError(
            f"{name} holds weights that are not numbers (NaN or infinite).", "Fetch the model again, or train it again."
        )
    largest = float(np.abs(array).max(initial=0.0))
    if quantization == "f16" and array.ndim > 1 and largest > HALF_MOST:
        raise ModelError(
            f"{name} holds {largest:,.0f}, and f16 ends at {HALF_MOST:,.0f}.",
            "Choose a type with a wider range: --type bf16 or --type f32",
        )


def _encode(name: str, array: Array, quantization: Quantization) -> tuple[Array, gguf.GGMLQuantizationType]:
    kind = TYPES[quantization][0]
    if array.ndim < 2:
        kind = gguf.GGMLQuantizationType.F32
    elif quantization == "q4_0" and name.startswith(("token_embd", "output")):
        kind = gguf.GGMLQuantizationType.Q8_0
    if kind in (gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.Q4_0) and array.shape[-1] % BLOCK:
        kind = gguf.GGMLQuantizationType.F16
    return quantize(np.ascontiguousarray(array), kind), kind
