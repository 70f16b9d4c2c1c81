"""What a module of a Hugging Face model is called in a GGUF file, for the architectures that are converted here.

Source: the tensor names of the gguf package, which is not loaded for them: it takes longer than the rest.
"""

from __future__ import annotations

import re

ARCHITECTURES = ("llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "phi3")
"""GGUF architectures whose linear layers have the names below; mistral is one of llama's."""

ROTATED = ("llama",)
"""Architectures whose queries and keys are stored in another order of rows, see `reorder_heads`."""

_LAYER = re.compile(r"(?:model\.)?(?:language_model\.)?(?:model\.)?layers\.(\d+)\.(.+)")
_IN_LAYER = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.qkv_proj": "attn_qkv",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.gate_up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf_module(module: str) -> str | None:
    """The GGUF name, without its `.weight`, of a module such as `model.layers.0.self_attn.q_proj`; None for one
    that has none."""
    found = _LAYER.fullmatch(module)
    if found:
        own = _IN_LAYER.get(found[2])
        return f"blk.{int(found[1])}.{own}" if own else None
    return "output" if module == "lm_head" else None


def hf_module(module: str, architecture: str) -> str | None:
    """The transformers name of a module such as `blk.0.attn_q`; None for one that has none."""
    found = re.fullmatch(r"blk\.(\d+)\.(\w+)", module)
    if found:
        own = next((hf for hf, name in _IN_LAYER.items() if name == found[2] and not _is_fused(hf, architecture)), None)
        return f"model.layers.{found[1]}.{own}" if own else None
    return "lm_head" if module == "output" else None


def _is_fused(module: str, architecture: str) -> bool:
    """Whether a module is of the other kind of feed-forward layer than the architecture has."""
    return module == ("mlp.up_proj" if architecture == "phi3" else "mlp.gate_up_proj")


def layer_of(module: str) -> int | None:
    """The number of the layer that a module belongs to, in either format's spelling."""
    found = re.search(r"(?:^|\.)(?:layers|blk|h)\.(\d+)\.", module)
    return int(found[1]) if found else None
