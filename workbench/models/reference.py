"""Model and Adapter: which weights a variant runs on and what is laid over them, and the way from a name or a path
to one.

Knows nothing of what is inside the files (see inspect.py and adapter.py) or of how they are run (engines/).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Protocol, cast, get_args

import msgspec

from workbench import paths
from workbench.errors import FileError, ModelError
from workbench.models.foreign_file import is_folder, is_regular
from workbench.models.unfinished import check_finished
from workbench.paths import find_input

Format = Literal["gguf", "hf", "scripted"]
AdapterFormat = Literal["peft", "gguf"]
Dtype = Literal["", "float32", "float16", "bfloat16"]
"""The numbers that a Hugging Face model is computed in; empty: its own, where the device computes in them."""
Quantization = Literal["", "8bit", "4bit"]
"""Into what a Hugging Face model's linear layers are packed while it is loaded; empty: they stay as they are."""

ADAPTER_CONFIG = "adapter_config.json"
"""What makes a folder a PEFT adapter."""


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A base that can answer.

    name: what a person calls it, unique among the models found.
    path: the GGUF file, the Hugging Face folder, or the script of the scripted engine.
    chat_template: a Jinja chat template to use instead of the model's own; None keeps the model's own.
    context_tokens: context size to open with; None takes what the model was trained with (capped by the
        engine).
    dtype, quantization: of a Hugging Face folder; a GGUF file's precision is in the file.
    chat_template_kwargs: variables of the chat template, such as enable_thinking, as a JSON object; empty: none.
    """

    name: str
    path: Path
    format: Format = "gguf"
    chat_template: str | None = None
    context_tokens: int | None = None
    dtype: Dtype = ""
    quantization: Quantization = ""
    chat_template_kwargs: str = ""


class ModelInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of a model, from its header alone or once it is loaded."""

    architecture: str
    quantization: str
    """how the weights are stored; once they are loaded, how they lie in memory"""
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
    dtype: str = ""
    """the numbers it is computed in, once it is loaded; empty where the engine mixes them"""
    unsupported_sampling: tuple[str, ...] = ()
    """fields of Sampling that its engine cannot honour; a request that sets one is refused"""


class Adapter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is laid over a base: a PEFT folder, or a GGUF file.

    name: what a person calls it, unique among the adapters found.
    """

    name: str
    path: Path
    format: AdapterFormat = "peft"


class Applied(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An adapter as a request wants it. scale: 1 is what it was trained for; where the format has none, only 1."""

    adapter: Adapter
    scale: float = 1.0


class Choice(Protocol):
    """A model as a bench remembers it."""

    @property
    def path(self) -> str: ...
    @property
    def chat_template(self) -> str | None: ...
    @property
    def context_tokens(self) -> int | None: ...
    @property
    def dtype(self) -> Dtype: ...
    @property
    def quantization(self) -> Quantization: ...
    @property
    def chat_template_kwargs(self) -> Mapping[str, Any]: ...


class AdapterChoice(Protocol):
    """An adapter as a variant names it."""

    @property
    def adapter(self) -> str: ...
    @property
    def scale(self) -> float: ...
    @property
    def on(self) -> bool: ...


def resolve_model(name: str, choices: Mapping[str, Choice], folder: Path, known: Sequence[Model]) -> Model:
    """The model that a variant names: one of the bench's choices, one that was found, or a path.

    folder: the bench's folder, for relative paths. Raises ModelError that lists the nearest names.
    """
    if name in choices:
        choice = choices[name]
        path = _locate(choice.path, folder) or (folder / paths.expand(choice.path))
        found = next((model for model in known if model.name == choice.path), None)
        base = found if found and not _exists(path) else model_at(path, name)
        named = msgspec.structs.replace(
            base, name=name, chat_template=choice.chat_template, context_tokens=choice.context_tokens
        )
        return with_template_kwargs(
            with_precision(named, choice.dtype, choice.quantization), choice.chat_template_kwargs
        )
    for model in known:
        if model.name == name:
            return model
    located = _locate(name, folder)
    if located:
        return model_at(located)
    raise _unknown(name, [*choices, *(model.name for model in known)])


def with_precision(model: Model, dtype: str, quantization: str) -> Model:
    """The model in the precision that a person asks for. Raises ModelError for one that it cannot have."""
    kinds = (("dtype", dtype, get_args(Dtype)), ("quantization", quantization, get_args(Quantization)))
    wrong = [
        f"{name} {value!r} is none of {', '.join(known[1:])}" for name, value, known in kinds if value not in known
    ]
    if wrong:
        raise ModelError(f"{model.name} cannot be opened so: {' and '.join(wrong)}.", "Correct it, or leave it out.")
    if (dtype or quantization) and model.format != "hf":
        raise ModelError(
            f"{model.name} cannot be opened with {' and '.join(filter(None, (dtype, quantization)))}: only a Hugging"
            " Face folder can; a GGUF file's precision is in the file.",
            "Leave dtype and quantization out, or convert the file to another type: workbench convert.",
        )
    return msgspec.structs.replace(model, dtype=cast(Dtype, dtype), quantization=cast(Quantization, quantization))


def with_template_kwargs(model: Model, variables: Mapping[str, Any]) -> Model:
    """The model with further variables of its chat template; they go before those that it has. Raises ModelError."""
    if not variables:
        return model
    known = json.loads(model.chat_template_kwargs) if model.chat_template_kwargs else {}
    try:
        merged = msgspec.json.encode({**known, **variables}, order="deterministic").decode()
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"The chat_template_kwargs of {model.name} cannot be written as JSON: {error}.",
            "Use texts, numbers, truth values, lists and objects.",
        ) from error
    return msgspec.structs.replace(model, chat_template_kwargs=merged)


def resolve_adapters(choices: Sequence[AdapterChoice], folder: Path, known: Sequence[Adapter]) -> tuple[Applied, ...]:
    """The adapters that a variant names and has on, in its order; a scale of 0 is as good as off.

    folder: the bench's folder, for relative paths. Raises ModelError that names every one that is not there.
    """
    applied: list[Applied] = []
    problems: list[ModelError] = []
    for choice in choices:
        if not choice.on or choice.scale == 0:
            continue
        if not math.isfinite(choice.scale):
            hint = "Write a number such as 0.5."
            problems.append(ModelError(f"The scale of {choice.adapter} is {choice.scale}, which is no number.", hint))
            continue
        try:
            applied.append(Applied(_resolve_adapter(choice.adapter, folder, known), choice.scale))
        except ModelError as error:
            problems.append(error)
    if len(problems) > 1:
        raise ModelError("\n".join(problem.message for problem in problems), problems[0].hint)
    if problems:
        raise problems[0]
    return tuple(applied)


def _resolve_adapter(name: str, folder: Path, known: Sequence[Adapter]) -> Adapter:
    for adapter in known:
        if adapter.name == name:
            return adapter
    located = _locate(name, folder)
    if located:
        return adapter_at(located)
    near = get_close_matches(name, [adapter.name for adapter in known], 3, 0.5)
    guess = f"Did you mean {' or '.join(near)}? " if near else ""
    raise ModelError(
        f"No adapter is called {name!r}, and there is no such file.",
        f"{guess}`workbench models` lists what was found. A path to a PEFT folder or a GGUF adapter works too.",
    )


def adapter_at(path: Path, name: str = "") -> Adapter:
    """The adapter in a file or folder, judged by its form alone. Raises ModelError when it is none."""
    if is_regular(path / ADAPTER_CONFIG):
        return Adapter(name or path.name, path, "peft")
    if is_regular(path) and path.suffix.lower() == ".gguf":
        return Adapter(name or path.stem, path, "gguf")
    if _exists(path):
        check_finished(path)
    if is_regular(path) and is_regular(path.parent / ADAPTER_CONFIG):
        raise ModelError(f"{path} is part of a PEFT adapter.", f"Choose its folder: {path.parent}")
    found = "nothing is there" if not _exists(path) else "this is something else"
    raise ModelError(
        f"There is no adapter at {path}: {found}.",
        f"An adapter is a folder with an {ADAPTER_CONFIG}, or a GGUF file of the type adapter.",
    )


def model_at(path: Path, name: str = "") -> Model:
    """The model in a file or folder, judged by its form alone. Raises ModelError when it is none."""
    kind = recognize(path)
    if kind is None and _exists(path):
        check_finished(path)
    if kind is None:
        found = "nothing is there" if not _exists(path) else "this is something else"
        raise ModelError(
            f"There is no model at {path}: {found}.",
            "A model is a .gguf file, a Hugging Face folder with a config.json, or a .script.json file.",
        )
    return Model(name or (path.name if kind == "hf" else path.stem), path, kind)


def recognize(path: Path) -> Format | None:
    """The form of a model, by its names alone; None when it is no model."""
    if is_folder(path):
        return "hf" if is_regular(path / "config.json") else None
    if not is_regular(path):
        return None
    if path.name.endswith(".script.json"):
        return "scripted"
    return "gguf" if path.suffix.lower() == ".gguf" else None


def _exists(path: Path) -> bool:
    return is_folder(path) or is_regular(path)


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
