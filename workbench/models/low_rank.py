"""The low-rank pairs of a LoRA: which module each changes, and in which shapes, for PEFT folders and GGUF files.

Read from headers alone; no weight is loaded. Knows nothing of the base they are laid over.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from workbench.errors import ModelError
from workbench.models.adapter_config import AdapterConfig
from workbench.models.header import Header
from workbench.models.tensors import Tensor, Tensors

_PART = re.compile(r"base_model\.model\.(.+)\.lora_([AB])(?:\.default)?\.weight")
_EMBEDDING = re.compile(r"base_model\.model\.(.+)\.lora_embedding_([AB])(?:\.default)?")


class Half(NamedTuple):
    """One tensor of a pair. offset: its bytes' place in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int


class Pair(NamedTuple):
    """What is added to a module's weights: scale x up (outputs, rank) x down (rank, inputs).

    module: its name in the base, as the adapter's format spells it.
    """

    module: str
    down: Half
    up: Half
    scale: float

    @property
    def rank(self) -> int:
        return self.down.shape[0]

    @property
    def inputs(self) -> int:
        return self.down.shape[1]

    @property
    def outputs(self) -> int:
        return self.up.shape[0]


class LowRank(NamedTuple):
    """The pairs by module, and the tensors that are no part of one, by name."""

    pairs: tuple[Pair, ...]
    others: dict[str, Half]


def read_peft_pairs(path: Path, config: AdapterConfig, tensors: Tensors) -> LowRank:
    """The pairs of a PEFT folder's weights. Raises ModelError that names every half that lacks the other."""
    halves: dict[str, dict[str, Half]] = {}
    others: dict[str, Half] = {}
    for name, tensor in tensors.tensors.items():
        half = _half(name, tensor, tensors.data_start)
        found = _PART.fullmatch(name)
        if found:
            halves.setdefault(found[1], {})[found[2]] = half
        else:
            others[name] = half
    modules = _pair(path, halves)
    pairs = [Pair(module, down, up, config.scale(module, down.shape[0])) for module, down, up in modules]
    return LowRank(tuple(pairs), others)


def read_gguf_pairs(path: Path, header: Header) -> LowRank:
    """The pairs of a GGUF adapter. Raises ModelError that names every half that lacks the other."""
    given = header.metadata.get("adapter.lora.alpha")
    alpha = given if isinstance(given, (int, float)) else 0.0
    halves: dict[str, dict[str, Half]] = {}
    others: dict[str, Half] = {}
    types = {0: "F32", 1: "F16", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 30: "BF16"}
    for tensor in header.tensors:
        dtype = types.get(tensor.type, f"ggml type {tensor.type}")
        half = Half(tensor.name, dtype, tensor.shape[::-1], header.data_start + tensor.offset)
        module, _, part = tensor.name.rpartition(".lora_")
        if part in ("a", "b"):
            halves.setdefault(module, {})[part.upper()] = half
        else:
            others[tensor.name] = half
    pairs = [
        Pair(module, down, up, alpha / down.shape[0] if alpha and down.shape[0] else 1.0)
        for module, down, up in _pair(path, halves)
    ]
    return LowRank(tuple(pairs), others)


def trains_embedding(name: str) -> bool:
    """Whether a PEFT tensor is a LoRA of an embedding."""
    return _EMBEDDING.fullmatch(name) is not None


def _half(name: str, tensor: Tensor, data_start: int) -> Half:
    return Half(name, tensor.dtype, tensor.shape, data_start + tensor.data_offsets[0])


def _pair(path: Path, halves: dict[str, dict[str, Half]]) -> list[tuple[str, Half, Half]]:
    problems = [
        f"{module} lacks its lora_{'B' if 'A' in parts else 'A'}" for module, parts in halves.items() if len(parts) < 2
    ]
    whole = {module: (parts["A"], parts["B"]) for module, parts in halves.items() if len(parts) == 2}
    for module, (down, up) in whole.items():
        flat = len(down.shape) == len(up.shape) == 2
        if not flat or down.shape[0] != up.shape[1] or not down.shape[0]:
            problems.append(f"the halves of {module} do not fit each other: {down.shape} and {up.shape}")
    if problems:
        more = f", and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise ModelError(
            f"{path} is not a whole LoRA: {'; '.join(problems[:5])}{more}.", "Fetch or train the adapter again."
        )
    return [(module, down, up) for module, (down, up) in whole.items()]
