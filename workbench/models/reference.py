"""Model: which weights a variant runs on, and the way from a name or a path to one.

Knows nothing of what is inside the file (see inspect.py) or of how it is run (engines/).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from workbench.errors import FileError, ModelError
from workbench.paths import find_input

Format = Literal["gguf", "hf", "scripted"]


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A base that can answer.

    name: what a person calls it, unique among the models found.
    path: the GGUF file, the Hugging Face folder, or the script of the scripted engine.
    chat_template: a Jinja chat template to use instead of the model's own; None keeps the model's own.
    context_tokens: context size to open with; None takes what the model was trained with (capped by the
        engine).
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
    """estimate: weights plus KV cache for context_tokens, or for a usual context when not loaded"""
    cell_bytes: int = 0
    """KV cache that one token of context takes"""
    engine: str = ""
    device: str = ""


class Choice(Protocol):
    """A model as a bench remembers it."""

    @property
    def path(self) -> str: ...
    @property
    def chat_template(self) -> str | None: ...
    @property
    def context_tokens(self) -> int | None: ...


def resolve_model(name: str, choices: Mapping[str, Choice], folder: Path, known: Sequence[Model]) -> Model:
    """The model that a variant names: one of the bench's choices, one that was found, or a path.

    folder: the bench's folder, for relative paths. Raises ModelError that lists the nearest names.
    """
    if name in choices:
        choice = choices[name]
        path = _locate(choice.path, folder) or (folder / Path(choice.path).expanduser())
        found = next((model for model in known if model.name == choice.path), None)
        base = found if found and not path.exists() else model_at(path, name)
        return msgspec.structs.replace(
            base, name=name, chat_template=choice.chat_template, context_tokens=choice.context_tokens
        )
    for model in known:
        if model.name == name:
            return model
    located = _locate(name, folder)
    if located:
        return model_at(located)
    raise _unknown(name, [*choices, *(model.name for model in known)])


def model_at(path: Path, name: str = "") -> Model:
    """The model in a file or folder, judged by its form alone. Raises ModelError when it is none."""
    kind = recognize(path)
    if kind is None:
        found = "nothing is there" if not path.exists() else "this is something else"
        raise ModelError(
            f"There is no model at {path}: {found}.",
            "A model is a .gguf file, a Hugging Face folder with a config.json, or a .script.json file.",
        )
    return Model(name or (path.stem if path.is_file() else path.name), path, kind)


def recognize(path: Path) -> Format | None:
    """The form of a model, by its names alone; None when it is no model."""
    if path.is_dir():
        return "hf" if (path / "config.json").is_file() else None
    if not path.is_file():
        return None
    if path.name.endswith(".script.json"):
        return "scripted"
    return "gguf" if path.suffix.lower() == ".gguf" else None


def _locate(name: str, folder: Path) -> Path | None:
    try:
        return find_input(name, folder)
    except FileError:
        return None


def _unknown(name: str, names: Sequence[str]) -> ModelError:
    near = get_close_matches(name, names, 3, 0.5)
    guess = f"Did you mean {' or '.join(near)}? " if near else ""
    listed = f"`workbench models` lists the {len(names)} that were found." if names else "No model was found."
    return ModelError(
        f"No model is called {name!r}, and there is no such file.",
        f"{guess}{listed} A path to a .gguf file works too.",
    )
