"""The weights of a Hugging Face folder as they go into a GGUF file, and how each architecture's differ there.

Sources: transformers' modeling files and llama.cpp's graph of each architecture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from workbench.errors import ModelError
from workbench.models.hf_folder import find_weights
from workbench.models.safetensors_header import TensorEntry, read_tensors

Array = npt.NDArray[Any]
Config = dict[str, Any]


class Architecture(NamedTuple):
    """name: in GGUF. rotates_pairs: llama.cpp turns neighbouring rows of queries and keys, not the halves of a head.
    adds_one: a norm's weights are stored as the difference from 1. always_tied: the output head is the embedding.
    has_biases: of queries, keys and values.
    """

    name: str
    rotates_pairs: bool = False
    adds_one: bool = False
    always_tied: bool = False
    has_biases: bool = False
    activations: tuple[str, ...] = ("silu",)


_GELU = ("gelu_pytorch_tanh",)
ARCHITECTURES = {
    "LlamaForCausalLM": Architecture("llama", rotates_pairs=True),
    "MistralForCausalLM": Architecture("llama", rotates_pairs=True),
    "Qwen2ForCausalLM": Architecture("qwen2", has_biases=True),
    "Qwen3ForCausalLM": Architecture("qwen3"),
    "GemmaForCausalLM": Architecture("gemma", adds_one=True, always_tied=True, activations=_GELU),
    "Gemma2ForCausalLM": Architecture("gemma2", adds_one=True, always_tied=True, activations=_GELU),
    "Phi3ForCausalLM": Architecture("phi3"),
}
"""By the name of transformers' class."""


def find_architecture(config: Config) -> Architecture | None:
    """The architecture that a config names; None for one that is not converted here."""
    named = config.get("architectures") or []
    return next((ARCHITECTURES[name] for name in named if name in ARCHITECTURES), None)


def rope(config: Config) -> Config:
    """The rope settings, from where transformers 5 writes them or from where older versions did."""
    settings = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    settings.setdefault("rope_theta", config.get("rope_theta", 10000.0))
    settings.setdefault("rope_type", settings.get("type", "default"))
    return settings


def head_width(config: Config) -> int:
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])


def rotated_width(config: Config) -> int:
    """How many values of a head are turned by their position."""
    part = rope(config).get("partial_rotary_factor") or config.get("partial_rotary_factor") or 1.0
    return int(head_width(config) * part)


def context_tokens(config: Config) -> int:
    """The longest text that both formats compute alike: llama.cpp keeps a sliding window for gemma2 alone."""
    longest, window = int(config["max_position_embeddings"]), config.get("sliding_window")
    kind = find_architecture(config)
    if kind and kind.name in ("llama", "phi3") and isinstance(window, int) and window > 0:
        return min(longest, window)
    return longest


def find_problems(config: Config) -> Iterator[str]:
    """Everything in a config that cannot be converted, as parts of a sentence about the model."""
    kind = find_architecture(config)
    if kind is None:  # what else differs is of no use to anybody, and would be judged by another architecture
        found = config.get("architectures") or [config.get("model_type", "nothing")]
        yield f"its architecture is {', '.join(map(str, found))} and none of {', '.join(ARCHITECTURES)}"
        return
    if (config.get("attention_bias") and not kind.has_biases) or config.get("mlp_bias"):
        yield "its projections have biases"
    if rope(config)["rope_type"] not in ("default", "linear", "llama3"):
        yield f"its rope scaling is {rope(config)['rope_type']!r}"
    activation = config.get("hidden_activation") or config.get("hidden_act") or kind.activations[0]
    if activation not in kind.activations:
        yield f"its activation is {activation!r} instead of {kind.activations[0]}"
    if config.get("quantization_config"):
        yield "its weights are already quantized"
    if kind.name == "gemma2" and config.get("query_pre_attn_scalar") != config.get("head_dim"):
        yield "it scales attention by another number than the width of a head"
    if config.get("use_sliding_window"):
        yield "it uses a sliding window"


def change_weights(name: str, array: Array, config: Config) -> Array:
    """A tensor as llama.cpp expects it, given its name in transformers."""
    kind = find_architecture(config)
    assert kind
    if kind.adds_one and name.endswith("norm.weight"):
        return array + 1
    if kind.rotates_pairs and name.endswith(("q_proj.weight", "k_proj.weight")):
        queries = config["num_attention_heads"]
        heads = (config.get("num_key_value_heads") or queries) if name.endswith("k_proj.weight") else queries
        return array.reshape(heads, 2, array.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(array.shape)
    return array


def rope_factors(config: Config) -> Array | None:
    """What llama 3 divides the turning speed of each pair by; None where nothing is.

    Source: transformers' `_compute_llama3_parameters`.
    """
    settings = rope(config)
    if settings["rope_type"] != "llama3":
        return None
    width = rotated_width(config)
    speeds = settings["rope_theta"] ** (-np.arange(0, width, 2, dtype=np.float64) / width)
    turns = settings["original_max_position_embeddings"] * speeds / (2 * math.pi)
    low, high, factor = settings["low_freq_factor"], settings["high_freq_factor"], settings["factor"]
    smooth = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return np.asarray(1 / ((1 - smooth) / factor + smooth), dtype=np.float32)


EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


class HfWeights(NamedTuple):
    """Every tensor's file and header, by name."""

    files: dict[str, Path]
    headers: dict[str, TensorEntry]

    @classmethod
    def open(cls, folder: Path) -> HfWeights:
        """What transformers reads: model.safetensors, or the parts that its index names. Raises ModelError."""
        problems: list[str] = []
        paths = find_weights(folder, problems)
        if problems:
            raise ModelError(
                f"{folder} cannot be converted: {'; '.join(problems)}.",
                "Fetch it again, or save it with safetensors, the default of transformers.",
            )
        files: dict[str, Path] = {}
        headers: dict[str, TensorEntry] = {}
        for path in paths:
            for name, tensor in read_tensors(path).tensors.items():
                files[name], headers[name] = path, tensor
        return cls(files, headers)

    def problems(self, config: dict[str, Any]) -> Iterator[str]:
        """What keeps the tensors from being the model that the config describes, as parts of a sentence."""
        kind = find_architecture(config)
        if kind is None:
            return
        tied = bool(config.get("tie_word_embeddings"))
        embedding, head = self.headers.get(EMBEDDING), self.headers.get(HEAD)
        if head is None and not tied:
            yield "its output head is missing (lm_head.weight), and its config does not say that it is the embedding"
        if embedding is None and not (tied and head):
            yield f"its token embedding is missing ({EMBEDDING})"
        wanted = (config["vocab_size"], config["hidden_size"])
        for name, tensor in ((EMBEDDING, embedding), (HEAD, head)):
            if tensor and tensor.shape != wanted:
                yield f"{name} has the shape {tensor.shape}, and its config says {wanted}"
        if kind.always_tied and self._has_own_head(config):
            yield f"its output head is another than its token embedding, which {kind.name} has no place for"

    def tensors(self, config: dict[str, Any]) -> Iterator[tuple[str, Array]]:
        """Every tensor that makes a difference, in 32 bits. A head that equals a tied embedding is left out."""
        from safetensors import safe_open

        own = self._has_own_head(config)
        renamed = {HEAD: EMBEDDING} if EMBEDDING not in self.headers else {}
        for path in dict.fromkeys(self.files.values()):
            with safe_open(path, framework="pt") as opened:
                for name in opened.keys():  # noqa: SIM118 - the handle is not a mapping
                    if name != HEAD or own or renamed:
                        yield renamed.get(name, name), _read(opened, name)

    def _has_own_head(self, config: dict[str, Any]) -> bool:
        """Whether the output head is no copy of the token embedding: transformers ties only what is equal."""
        if HEAD not in self.headers or EMBEDDING not in self.headers:
            return False
        if not config.get("tie_word_embeddings"):
            return True
        return not np.array_equal(self._value(HEAD), self._value(EMBEDDING), equal_nan=True)

    def _value(self, name: str) -> Array:
        from safetensors import safe_open

        with safe_open(self.files[name], framework="pt") as opened:
            return _read(opened, name)


def _read(opened: Any, name: str) -> Array:
    import torch

    values: Array = opened.get_tensor(name).to(torch.float32).numpy()
    return values
