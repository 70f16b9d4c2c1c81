"""The shapes of a base that an adapter must fit, read from its headers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from workbench.models.gguf_header import GgufHeader
from workbench.models.hf_folder import find_weights, read_config
from workbench.models.model_info import read_parts
from workbench.models.reference import Model
from workbench.models.safetensors_header import read_tensors


class BaseShape(NamedTuple):
    """modules: name without `.weight` -> (outputs, inputs). packed: its weights are quantized, so that their
    stored shapes say nothing."""

    architecture: str
    is_gguf: bool
    modules: Mapping[str, tuple[int, ...]]
    layers: int
    hidden: int
    vocabulary: int
    packed: bool = False

    def find(self, module: str) -> tuple[int, ...] | None:
        """A module's shape; some checkpoints leave the outermost name out, and those of models that see may have the
        text model under its older name."""
        older = module.replace("model.language_model.", "language_model.model.", 1)
        tails = (module, module.removeprefix("model."), module.removeprefix("transformer."), older)
        return next((self.modules[name] for name in tails if name in self.modules), None)


def read_base_shape(model: Model) -> BaseShape:
    """A model's shapes. Raises ModelError when it cannot be read."""
    return _read_gguf(model) if model.format == "gguf" else _read_folder(model)


def _read_gguf(model: Model) -> BaseShape:
    parts = read_parts(model.path)
    header = parts[0]
    tensors = [tensor for part in parts for tensor in part.tensors]
    modules = {
        tensor.name.removesuffix(".weight"): tensor.shape[::-1]
        for tensor in tensors
        if len(tensor.shape) in (2, 3) and tensor.name.endswith(".weight")
    }
    architecture = str(header.metadata.get("general.architecture", ""))
    return BaseShape(
        architecture,
        True,
        modules,
        _integer(header, f"{architecture}.block_count"),
        _integer(header, f"{architecture}.embedding_length"),
        header.lengths.get("tokenizer.ggml.tokens", 0),
    )


def _read_folder(model: Model) -> BaseShape:
    config = read_config(model.path)
    problems: list[str] = []
    found = [read_tensors(path).tensors for path in find_weights(model.path, problems)]
    modules = {
        name.removesuffix(".weight"): tensor.shape
        for tensors in found
        for name, tensor in tensors.items()
        if len(tensor.shape) == 2 and name.endswith(".weight")
    }
    embedding = next((modules[name] for name in modules if name.endswith("embed_tokens")), None)
    if embedding:
        modules.setdefault("lm_head", embedding)  # a tied head is not stored
    inner = config.get("text_config")
    text: dict[str, Any] = inner if isinstance(inner, dict) else config
    layers = _first(text, "num_hidden_layers", "n_layer")
    hidden = _first(text, "hidden_size", "n_embd")
    packed = bool(config.get("quantization_config"))
    return BaseShape(str(config["model_type"]), False, modules, layers, hidden, _first(text, "vocab_size"), packed)


def _integer(header: GgufHeader, key: str) -> int:
    value = header.metadata.get(key)
    return value if isinstance(value, int) and 0 <= value < 1 << 32 else 0


def _first(config: dict[str, Any], *keys: str) -> int:
    return next((value for key in keys if isinstance(value := config.get(key), int)), 0)
