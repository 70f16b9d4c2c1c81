"""A tiny picture projector (mmproj) for the tiny models of `gguf_fixture`, with random weights, in LLaVA's shape."""

from __future__ import annotations

from pathlib import Path

import gguf  # noqa: TID253
import numpy as np
from gguf_fixture import WIDTH

VISION_WIDTH, VISION_LAYERS, VISION_HEADS, VISION_FORWARD = 32, 2, 2, 64
IMAGE_SIZE, PATCH_SIZE = 28, 7
PICTURE_TOKENS = (IMAGE_SIZE // PATCH_SIZE) ** 2
"""Tokens of a picture, whatever its size: it is scaled to a square."""


def write_mmproj(
    path: Path,
    width: int = WIDTH,
    seed: int = 5,
    kind: str = "mlp",
    image_size: int = IMAGE_SIZE,
    layers: int = VISION_LAYERS,
) -> Path:
    """An encoder and a projector onto a text model of this width.

    kind: `mlp` is LLaVA's, with a CLIP encoder of 16 patches; `qwen2vl_merger` is Qwen2-VL's, for which a picture has
    as many tokens as its size asks for, and positions in two dimensions. image_size, layers: of the encoder, which
    takes as long as they make it.
    """
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_name("tiny projector")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", kind)
    writer.add_bool("clip.use_gelu", True)
    numbers = {"embedding_length": VISION_WIDTH, "feed_forward_length": VISION_FORWARD, "block_count": layers}
    numbers |= {"projection_dim": width, "attention.head_count": VISION_HEADS}
    numbers |= {"image_size": image_size, "patch_size": PATCH_SIZE}
    for key, number in numbers.items():
        writer.add_uint32(f"clip.vision.{key}", number)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    writer.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])
    shapes = _shapes(width, image_size, layers) if kind == "mlp" else _merger_shapes(width)
    for name, shape in shapes.items():
        writer.add_tensor(name, _weights(name, shape, seed))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _shapes(width: int, image_size: int = IMAGE_SIZE, layers: int = VISION_LAYERS) -> dict[str, tuple[int, ...]]:
    wide, forward = VISION_WIDTH, VISION_FORWARD
    shapes: dict[str, tuple[int, ...]] = {
        "v.class_embd": (wide,),
        "v.patch_embd.weight": (wide, 3, PATCH_SIZE, PATCH_SIZE),
        "v.position_embd.weight": ((image_size // PATCH_SIZE) ** 2 + 1, wide),
        "v.pre_ln.weight": (wide,),
        "v.pre_ln.bias": (wide,),
        "v.post_ln.weight": (wide,),
        "v.post_ln.bias": (wide,),
        "mm.0.weight": (width, wide),
        "mm.0.bias": (width,),
        "mm.2.weight": (width, width),
        "mm.2.bias": (width,),
    }
    for layer in range(layers):
        block = {f"attn_{part}.weight": (wide, wide) for part in ("q", "k", "v", "out")}
        block |= {f"attn_{part}.bias": (wide,) for part in ("q", "k", "v", "out")}
        block |= {f"ln{part}.{kind}": (wide,) for part in (1, 2) for kind in ("weight", "bias")}
        block |= {"ffn_up.weight": (forward, wide), "ffn_up.bias": (forward,)}
        block |= {"ffn_down.weight": (wide, forward), "ffn_down.bias": (wide,)}
        shapes |= {f"v.blk.{layer}.{name}": shape for name, shape in block.items()}
    return shapes


def _merger_shapes(width: int) -> dict[str, tuple[int, ...]]:
    """Qwen2-VL's: no class or position embeddings, two frames of patches, and a merger of four patches each."""
    left_out = ("v.class_embd", "v.position_embd.weight", "v.pre_ln.weight", "v.pre_ln.bias")
    shapes = {name: shape for name, shape in _shapes(width).items() if name not in left_out}
    merged = 4 * VISION_WIDTH
    shapes |= {"v.patch_embd.weight.1": shapes["v.patch_embd.weight"]}
    return shapes | {"mm.0.weight": (merged, merged), "mm.0.bias": (merged,), "mm.2.weight": (width, merged)}


def _weights(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    if name.endswith(("ln1.weight", "ln2.weight", "ln.weight")):
        return np.ones(shape, dtype=np.float32)
    generator = np.random.default_rng([seed, *name.encode()])
    scale = 0.1 if name.endswith("bias") else 1.0 / np.sqrt(np.prod(shape[1:]) if len(shape) > 1 else 1.0)
    return (generator.standard_normal(shape) * scale).astype(np.float32)
