"""Random weights in the true shapes of two small models, written once into the cache folder.

Speed follows from shapes, not from values; the text they write is noise.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from workbench import paths


class ModelShape(NamedTuple):
    """The measures of a llama."""

    name: str
    width: int
    layers: int
    heads: int
    kv_heads: int
    forward: int
    vocabulary: int


SMALL = ModelShape("s135", 576, 30, 9, 3, 1536, 49_152)
"""SmolLM2-135M's."""

LARGE = ModelShape("q05", 896, 24, 14, 2, 4864, 151_936)
"""Qwen2.5-0.5B's."""


def write_shape(shape: ModelShape, kind: str = "q8_0") -> Path:
    """The file of a shape, quantized as `kind`; written if it is not there."""
    folder = paths.cache_folder() / "benchmarks"
    path = folder / f"{shape.name}-{kind}.gguf"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        full = folder / f"{shape.name}-f16.gguf"
        if not full.exists():
            _write(shape, full)
        from workbench.inference.llamacpp.quantize import quantize

        quantize(full, path, kind)
    return path


def write_adapter(shape: ModelShape, number: int, rank: int = 16) -> Path:
    """A LoRA on every linear layer of a shape, written if it is not there; no two numbers have the same."""
    path = paths.cache_folder() / "benchmarks" / f"{shape.name}-lora{number}.gguf"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_adapter(shape, number, rank, path)
    return path


def _write_adapter(shape: ModelShape, number: int, rank: int, path: Path) -> None:
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(rank))
    generator = np.random.default_rng(number)
    for name, measures in _tensors(shape).items():
        if name.startswith("blk.") and len(measures) == 2:
            outputs, inputs = measures
            for part, size in (("a", (rank, inputs)), ("b", (outputs, rank))):
                values = generator.standard_normal(size, np.float32) / np.sqrt(inputs)
                writer.add_tensor(f"{name}.lora_{part}", values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write(shape: ModelShape, path: Path) -> None:
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(8192)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_vocab_size(shape.vocabulary)
    _add_vocabulary(writer, shape.vocabulary)
    generator = np.random.default_rng(1)
    for name, measures in _tensors(shape).items():
        if len(measures) == 1:
            writer.add_tensor(name, np.ones(measures, np.float32))
        else:
            values = generator.standard_normal(measures, np.float32) / np.sqrt(measures[-1])
            writer.add_tensor(name, values.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_vocabulary(writer: object, size: int) -> None:
    import gguf

    assert isinstance(writer, gguf.GGUFWriter)
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(byte) if byte in plain else chr(256 + place) for place, byte in enumerate(range(256))]
    letters = list(dict.fromkeys(letters))
    tokens = ["<|begin|>", "<|end|>", *letters, "in"]
    tokens += [f"<unused{number}>" for number in range(size - len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3] + [1] * (size - 2))
    writer.add_token_merges(["i n"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(False)


def _tensors(shape: ModelShape) -> dict[str, tuple[int, ...]]:
    width, narrow = shape.width, shape.width // shape.heads * shape.kv_heads
    block = {
        "attn_norm": (width,),
        "ffn_norm": (width,),
        "attn_q": (width, width),
        "attn_k": (narrow, width),
        "attn_v": (narrow, width),
        "attn_output": (width, width),
        "ffn_gate": (shape.forward, width),
        "ffn_up": (shape.forward, width),
        "ffn_down": (width, shape.forward),
    }
    found: dict[str, tuple[int, ...]] = {"token_embd.weight": (shape.vocabulary, width), "output_norm.weight": (width,)}
    for layer in range(shape.layers):
        found |= {f"blk.{layer}.{name}.weight": measures for name, measures in block.items()}
    return found
