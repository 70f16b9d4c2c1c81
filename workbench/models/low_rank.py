"""The low-rank pairs of a LoRA: which module each changes, and in which shapes, for PEFT folders and GGUF files.

Read from headers alone; no weight is loaded. Knows nothing of the base they are laid over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from workbench.errors import ModelError
from workbench.models.adapter_config import AdapterConfig
from workbench.models.header import Header
from workbench.models.tensors import Tensor, Tensors

_PART = re.compile(r"base_model\.model\.(.+)\.lora_([AB])(?:\.default)?\.weight")
_EMBEDDING = re.compile(r"base_model\.model\.(.+)\.lora_embedding_([AB])(?:\.default)?")
_COPY = re.compile(r"base_model\.model\.(.+)\.base_layer\.weight")
_TOKENS = "token_embd.weight"
_NORM = "_norm.weight"


class Half(NamedTuple):
    """One tensor of a pair. offset: its bytes' place in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int


class Pair(NamedTuple):
    """What is added to a module's weights: scale x up (outputs, rank) x down (rank, inputs).

    module: its name in the base, as the adapter's format spells it. Experts have a product each: down (experts, rank,
    inputs), up (experts, outputs, rank). turned: down is stored as (inputs, rank), as of a token embedding in GGUF.
    """

    module: str
    down: Half
    up: Half
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


class LowRank(NamedTuple):
    """The pairs by module, and the tensors that are no part of one, by name.

    copies: whole weights of the base that PEFT saved beside the pairs of an embedding or head, by module. norms: of a
    GGUF file, which llama.cpp passes over.
    """

    pairs: tuple[Pair, ...]
    others: dict[str, Half]
    copies: dict[str, Half]
    norms: dict[str, Half]


def read_peft_pairs(path: Path, config: AdapterConfig, tensors: Tensors) -> LowRank:
    """The pairs of a PEFT folder's weights. Raises ModelError that names every half that lacks the other."""
    halves: dict[str, dict[str, Half]] = {}
    others: dict[str, Half] = {}
    copies: dict[str, Half] = {}
    for name, tensor in tensors.tensors.items():
        half = _half(name, tensor, tensors.data_start)
        found, copied = _PART.fullmatch(name), _COPY.fullmatch(name)
        if found:
            halves.setdefault(found[1], {})[found[2]] = half
        elif copied:
            copies[copied[1]] = half
        else:
            others[name] = half
    modules = _pair(path, halves)
    pairs = [Pair(module, down, up, config.scale(module, down.shape[0])) for module, down, up in modules]
    return LowRank(tuple(pairs), others, copies, {})


def read_gguf_pairs(path: Path, header: Header) -> LowRank:
    """The pairs of a GGUF adapter. Raises ModelError that names every half that lacks the other."""
    given = header.metadata.get("adapter.lora.alpha")
    alpha = given if isinstance(given, (int, float)) else 0.0
    halves: dict[str, dict[str, Half]] = {}
    others: dict[str, Half] = {}
    norms: dict[str, Half] = {}
    types = {0: "F32", 1: "F16", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 30: "BF16"}
    for tensor in header.tensors:
        dtype = types.get(tensor.type, f"ggml type {tensor.type}")
        half = Half(tensor.name, dtype, tensor.shape[::-1], header.data_start + tensor.offset)
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
        pairs.append(Pair(module, down, up, alpha / rank if alpha else 1.0, turned))
    return LowRank(tuple(pairs), others, {}, norms)


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
    problems += [problem for module, (first, second) in whole.items() for problem in _misfit(module, first, second)]
    if problems:
        more = f", and {len(problems) - 5} more" if len(problems) > 5 else ""
        shown = "; ".join(problem[:200] for problem in problems[:5])
        raise ModelError(f"{path} is not a whole LoRA: {shown}{more}.", "Fetch or train the adapter again.")
    return [(module, first, second) for module, (first, second) in whole.items()]


def _misfit(module: str, first: Half, second: Half) -> Iterator[str]:
    """Halves of two dimensions, or of three with as many experts in both, that have one rank in common."""
    one, other = first.shape, second.shape
    ranked = one[-1:] == other[-1:] if module == _TOKENS else one[-2:-1] == other[-1:]
    deep = len(one) == len(other) and len(one) in (2, 3) and one[:-2] == other[:-2]
    if not deep or not ranked or 0 in (*one, *other):
        yield f"the halves of {module} do not fit each other: {one} and {other}"
