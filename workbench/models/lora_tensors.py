"""The low-rank matrices of a LoRA, from PEFT folders and GGUF files: their modules, shapes and values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from workbench.errors import ModelError
from workbench.models.adapter_config import AdapterConfig
from workbench.models.gguf_header import GgufHeader
from workbench.models.safetensors_header import SafetensorsHeader, TensorEntry, read_array

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


GGUF_ARCHITECTURES = ("llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "phi3")
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


_PART = re.compile(r"base_model\.model\.(.+)\.lora_([AB])(?:\.default)?\.weight")
_EMBEDDING = re.compile(r"base_model\.model\.(.+)\.lora_embedding_([AB])(?:\.default)?")
_COPY = re.compile(r"base_model\.model\.(.+)\.base_layer\.weight")
_TOKENS = "token_embd.weight"
_NORM = "_norm.weight"


class LoraMatrix(NamedTuple):
    """One tensor of a pair. offset: its bytes' place in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int


class LoraPair(NamedTuple):
    """What is added to a module's weights: scale x up (outputs, rank) x down (rank, inputs).

    module: its name in the base, as the adapter's format spells it. Experts have a product each: down (experts, rank,
    inputs), up (experts, outputs, rank). turned: down is stored as (inputs, rank), as of a token embedding in GGUF.
    """

    module: str
    down: LoraMatrix
    up: LoraMatrix
    scale: float
    turned: bool = False

    @property
    def rank(self) -> int:
        return self.down.shape[-1] if self.turned else self.down.shape[-2]

    @property
    def inputs(self) -> int:
        return self.down.shape[-2] if self.turned else self.down.shape[-1]

    @property
    def outputs(self) -> int:
        return self.up.shape[-2]

    @property
    def changes(self) -> tuple[int, ...]:
        """The shape of the weights that it changes."""
        return (*self.up.shape[:-2], self.outputs, self.inputs)


class LoraTensors(NamedTuple):
    """The pairs by module, and the tensors that are no part of one, by name.

    copies: whole weights of the base that PEFT saved beside the pairs of an embedding or head, by module. norms: of a
    GGUF file, which llama.cpp passes over.
    """

    pairs: tuple[LoraPair, ...]
    others: dict[str, LoraMatrix]
    copies: dict[str, LoraMatrix]
    norms: dict[str, LoraMatrix]


def read_peft_pairs(path: Path, config: AdapterConfig, tensors: SafetensorsHeader) -> LoraTensors:
    """The pairs of a PEFT folder's weights. Raises ModelError that names every half that lacks the other."""
    halves: dict[str, dict[str, LoraMatrix]] = {}
    others: dict[str, LoraMatrix] = {}
    copies: dict[str, LoraMatrix] = {}
    for name, tensor in tensors.tensors.items():
        half = _matrix(name, tensor, tensors.data_start)
        found, copied = _PART.fullmatch(name), _COPY.fullmatch(name)
        if found:
            halves.setdefault(found[1], {})[found[2]] = half
        elif copied:
            copies[copied[1]] = half
        else:
            others[name] = half
    modules = _pair(path, halves)
    pairs = [LoraPair(module, down, up, config.scale(module, down.shape[0])) for module, down, up in modules]
    return LoraTensors(tuple(pairs), others, copies, {})


def read_gguf_pairs(path: Path, header: GgufHeader) -> LoraTensors:
    """The pairs of a GGUF adapter. Raises ModelError that names every half that lacks the other."""
    given = header.metadata.get("adapter.lora.alpha")
    alpha = given if isinstance(given, (int, float)) else 0.0
    halves: dict[str, dict[str, LoraMatrix]] = {}
    others: dict[str, LoraMatrix] = {}
    norms: dict[str, LoraMatrix] = {}
    types = {0: "F32", 1: "F16", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 30: "BF16"}
    for tensor in header.tensors:
        dtype = types.get(tensor.type, f"ggml type {tensor.type}")
        half = LoraMatrix(tensor.name, dtype, tensor.shape[::-1], header.data_start + tensor.offset)
        module, _, part = tensor.name.rpartition(".lora_")
        if part in ("a", "b"):
            halves.setdefault(module, {})[part.upper()] = half
        else:
            (norms if tensor.name.endswith(_NORM) else others)[tensor.name] = half
    pairs = []
    for module, first, second in _pair(path, halves):
        turned = module == _TOKENS  # llama.cpp looks rows up in the first half, and multiplies with the second
        down, up = (second, first) if turned else (first, second)
        rank = up.shape[-1]
        pairs.append(LoraPair(module, down, up, alpha / rank if alpha else 1.0, turned))
    return LoraTensors(tuple(pairs), others, {}, norms)


def trains_embedding(name: str) -> bool:
    """Whether a PEFT tensor is a LoRA of an embedding."""
    return _EMBEDDING.fullmatch(name) is not None


def _matrix(name: str, tensor: TensorEntry, data_start: int) -> LoraMatrix:
    return LoraMatrix(name, tensor.dtype, tensor.shape, data_start + tensor.data_offsets[0])


def _pair(path: Path, halves: dict[str, dict[str, LoraMatrix]]) -> list[tuple[str, LoraMatrix, LoraMatrix]]:
    problems = [
        f"{module} lacks its lora_{'B' if 'A' in parts else 'A'}" for module, parts in halves.items() if len(parts) < 2
    ]
    whole = {module: (parts["A"], parts["B"]) for module, parts in halves.items() if len(parts) == 2}
    problems += [problem for module, (first, second) in whole.items() for problem in _misfit(module, first, second)]
    if problems:
        more = f", and {len(problems) - 5} more" if len(problems) > 5 else ""
        shown = "; ".join(problem[:200] for problem in problems[:5])
        raise ModelError(f"{path} is not a whole LoRA: {shown}{more}.", "Fetch or train the adapter again.")
    return [(module, first, second) for module, (first, second) in whole.items()]


def _misfit(module: str, first: LoraMatrix, second: LoraMatrix) -> Iterator[str]:
    """Halves of two dimensions, or of three with as many experts in both, that have one rank in common."""
    one, other = first.shape, second.shape
    ranked = one[-1:] == other[-1:] if module == _TOKENS else one[-2:-1] == other[-1:]
    deep = len(one) == len(other) and len(one) in (2, 3) and one[:-2] == other[:-2]
    if not deep or not ranked or 0 in (*one, *other):
        yield f"the halves of {module} do not fit each other: {one} and {other}"


def read_factors(path: Path, pair: LoraPair) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Up ([experts,] outputs, rank) and down ([experts,] rank, inputs) of a pair. Raises ModelError."""
    up, down = read_half(path, pair.up), read_half(path, pair.down)
    return up, down.swapaxes(-1, -2) if pair.turned else down


def read_half(path: Path, half: LoraMatrix) -> NDArray[np.float32]:
    """The values of one tensor. Raises ModelError."""
    return read_array(path, half.dtype, half.shape, half.offset)
