"""The base that an adapter says it was trained on, against the one it is to be laid over, as far as both tell.

Two architectures can have the same shapes: an adapter of one changes the other into nonsense without a word. Knows
nothing of weights.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from workbench.errors import ModelError
from workbench.models.adapter_config import AdapterConfig
from workbench.models.architectures import ARCHITECTURES
from workbench.models.base import Base
from workbench.models.folder import read_config

_FAMILIES = {"qwen": ("qwen",), "llama": ("llama", "mistral"), "mistral": ("llama", "mistral"), "gemma": ("gemma",)}
"""Part of a model's name -> how the architectures begin that go by it."""


def check_origin(config: AdapterConfig | None, shape: Base) -> Iterator[str]:
    """Why a PEFT adapter is not one of a base, as parts of a sentence about it; nothing where nobody can tell."""
    if config is None:
        return
    named = config.base_model_name_or_path or ""
    found = _find_architecture(config)
    if found:
        if _plain(found, shape) != shape.architecture:
            origin = named[-200:] or config.base_class
            yield f"it was trained on a {found} ({origin}), and the base is a {shape.architecture}"
        return
    own = named.replace("\\", "/").rstrip("/").rpartition("/")[2].lower()
    families = [starts for name, starts in _FAMILIES.items() if name in own]
    if families and not any(shape.architecture.startswith(starts) for starts in families):
        yield f"it was trained on {named[-200:]}, and the base is a {shape.architecture}"


def _find_architecture(config: AdapterConfig) -> str:
    """transformers' name of the base's architecture, from the class or from the folder that the adapter names."""
    if config.base_class:
        known = ARCHITECTURES.get(config.base_class)
        own = config.base_class.removesuffix("ForCausalLM").lower()
        return own if known else ""
    with contextlib.suppress(ModelError, OSError, ValueError):
        folder = Path(config.base_model_name_or_path or "")
        if folder.is_absolute() and folder.is_dir():
            return str(read_config(folder)["model_type"])
    return ""


def _plain(architecture: str, shape: Base) -> str:
    """transformers' name as the base's format has it: in GGUF, mistral is one of llama's."""
    return "llama" if shape.is_gguf and architecture == "mistral" else architecture
