"""Model: which weights a variant runs on, and the way from a name or a path to one.

Knows nothing of what is inside the file (see inspect.py) or of how it is run (engines/).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

Format = Literal["gguf", "hf", "scripted"]


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A base that can answer.

    name: what a person calls it, unique among the models found.
    path: the GGUF file, the Hugging Face folder, or the script of the scripted engine.
    chat_template: a Jinja chat template to use instead of the model's own; None keeps the model's own.
    context_tokens: context size to open with; None takes what the model was trained with (capped by the engine).
    """

    name: str
    path: Path
    format: Format = "gguf"
    chat_template: str | None = None
    context_tokens: int | None = None


class ModelInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of a model, from its header alone or once it is loaded."""

    architecture: str
    quantization: str
    parameters: int
    file_bytes: int
    context_trained_tokens: int
    vocabulary: int
    has_chat_template: bool
    context_tokens: int = 0
    """context size it is open with; 0 when not loaded"""
    memory_bytes: int = 0
    """estimate: weights plus KV cache for context_tokens"""
    engine: str = ""
    device: str = ""
