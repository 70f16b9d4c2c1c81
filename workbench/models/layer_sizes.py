"""What each layer of a GGUF model takes: its weights, its experts, its KV cache; for the fit into devices' memory."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from workbench.models.gguf_header import GgufHeader
from workbench.models.model_info import kv_bytes_of_layer, read_integer, read_parts

_BLOCK = re.compile(r"blk\.(\d{1,6})\.")
_MOST_LAYERS = 4096
_EXPERTS = re.compile(r"\.ffn_(up|down|gate|gate_up)_(ch|)exps")
"""llama.cpp's LLM_FFN_EXPS_REGEX (common.h), by which --n-cpu-moe chooses tensors"""


class LayerSizes(NamedTuple):
    """Bytes. dense, experts: of each layer's weights, without and of its experts. kv: of each layer's KV cache in half
    precision, for a token. input: the token embedding, which stays on the CPU. output: the last norm and the head,
    which is the embedding once more where the two are tied. embedding, feed_forward, heads, vocabulary: numbers."""

    dense: tuple[int, ...]
    experts: tuple[int, ...]
    kv: tuple[int, ...]
    input: int
    output: int
    embedding: int
    feed_forward: int
    heads: int
    vocabulary: int

    @property
    def layer_count(self) -> int:
        """Layers that can be offloaded: the model's, and the output."""
        return len(self.dense) + 1

    @property
    def is_moe(self) -> bool:
        return any(self.experts)


def read_layer_sizes(path: Path) -> LayerSizes:
    """Read a model's header. Raises ModelError."""
    return measure_layers(read_parts(path))


def measure_layers(parts: Sequence[GgufHeader]) -> LayerSizes:
    """The sizes that the headers of a model's files tell."""
    header, tensors = parts[0], [tensor for part in parts for tensor in part.tensors]
    count = min(read_integer(header, "block_count"), _MOST_LAYERS)
    dense, experts = [0] * count, [0] * count
    embedding = output = 0
    tied = True
    for tensor in tensors:
        found = _BLOCK.match(tensor.name)
        if found and int(found[1]) < count:
            (experts if _EXPERTS.search(tensor.name) else dense)[int(found[1])] += tensor.bytes
        elif tensor.name.startswith("token_embd."):
            embedding += tensor.bytes
        else:
            output += tensor.bytes
            tied = tied and tensor.name != "output.weight"
    return LayerSizes(
        tuple(dense),
        tuple(experts),
        tuple(kv_bytes_of_layer(header, layer) for layer in range(count)),
        embedding,
        output + (embedding if tied else 0),
        read_integer(header, "embedding_length"),
        read_integer(header, "feed_forward_length"),
        read_integer(header, "attention.head_count"),
        header.lengths.get("tokenizer.ggml.tokens", 0),
    )
