"""Models and adapters by name or path: the values that a variant refers to, and how they are found."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from workbench import paths
from workbench.device_choice import NO_CHOICE, DeviceChoice
from workbench.endpoint import Endpoint, is_address, make_endpoint
from workbench.errors import FileError, ModelError
from workbench.models.model import ADAPTER_CONFIG as ADAPTER_CONFIG
from workbench.models.model import Adapter as Adapter
from workbench.models.model import AdapterFormat as AdapterFormat
from workbench.models.model import Applied as Applied
from workbench.models.model import Attention as Attention
from workbench.models.model import Dtype as Dtype
from workbench.models.model import Format as Format
from workbench.models.model import Model as Model
from workbench.models.model import ModelInfo as ModelInfo
from workbench.models.model import Quantization as Quantization
from workbench.models.model_options import with_defaults as with_defaults
from workbench.models.model_options import with_devices as with_devices
from workbench.models.model_options import with_precision as with_precision
from workbench.models.model_options import with_template_kwargs as with_template_kwargs
from workbench.models.untrusted_files import check_finished, is_folder, is_regular
from workbench.offload import GpuLayers
from workbench.paths import find_input


class ModelSpec(Protocol):
    """A model as a bench specifies it."""

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
    @property
    def gpu_layers(self) -> GpuLayers | None: ...
    @property
    def device_map(self) -> str: ...
    @property
    def attention(self) -> Attention: ...
    @property
    def endpoint(self) -> Endpoint | None: ...
    @property
    def mmproj(self) -> str: ...


class AdapterSpec(Protocol):
    """An adapter as a variant specifies it."""

    @property
    def adapter(self) -> str: ...
    @property
    def scale(self) -> float: ...
    @property
    def on(self) -> bool: ...


def resolve_model(
    name: str,
    choices: Mapping[str, ModelSpec],
    folder: Path,
    known: Sequence[Model],
    defaults: DeviceChoice = NO_CHOICE,
) -> Model:
    """The model that a variant names: one of the bench's choices, one that was found, a path or a server's address.

    folder: the bench's folder, for relative paths. defaults: of the settings, for a model of this machine where the
    bench says nothing. Raises ModelError that lists the nearest names.
    """
    if name in choices:
        choice = choices[name]
        if choice.endpoint:
            remote = _open_remote(name, choice, _find_tokenizer(choice.endpoint, folder, known))
            return with_template_kwargs(remote, choice.chat_template_kwargs)
        path = _locate(choice.path, folder) or (folder / paths.expand(choice.path))
        found = next((model for model in known if model.name == choice.path), None)
        base = found if found and not _exists(path) else model_at(path, name)
        named = msgspec.structs.replace(
            base,
            name=name,
            chat_template=choice.chat_template,
            context_tokens=choice.context_tokens,
            mmproj=_find_mmproj(choice, base, folder),
        )
        precise = with_precision(with_defaults(named, defaults), choice.dtype, choice.quantization)
        return with_template_kwargs(with_devices(precise, choice), choice.chat_template_kwargs)
    for model in known:
        if model.name == name:
            return with_defaults(model, defaults)
    if is_address(name):
        return Model(name, format="remote", remote=make_endpoint(name))
    located = _locate(name, folder)
    if located:
        return with_defaults(model_at(located), defaults)
    raise _unknown(name, [*choices, *(model.name for model in known)])


def _find_tokenizer(endpoint: Endpoint, folder: Path, known: Sequence[Model]) -> Endpoint:
    """The endpoint with the path of the model whose tokenizer counts its prompts. Raises ModelError for none there."""
    wanted = endpoint.tokenizer
    if not wanted:
        return endpoint
    path = next((model.path for model in known if model.name == wanted), None) or _locate(wanted, folder)
    if path is None:
        raise ModelError(
            f"No such tokenizer: {wanted!r}.", "Name a .gguf file or a Hugging Face folder, or a model that was found."
        )
    return msgspec.structs.replace(endpoint, tokenizer=str(path))


def _find_mmproj(choice: ModelSpec, base: Model, folder: Path) -> Path | None:
    """The projector that a model's entry names. Raises ModelError for a model that has none of its own."""
    if not choice.mmproj:
        return None
    if base.format != "gguf":
        raise ModelError(
            f"{base.name} has `mmproj`, which belongs to a GGUF file; a Hugging Face folder has its own encoder.",
            "Leave mmproj out.",
        )
    return (_locate(choice.mmproj, folder) or folder / paths.expand(choice.mmproj)).absolute()


def _open_remote(name: str, choice: ModelSpec, endpoint: Endpoint) -> Model:
    """A server's model with the options of a bench. Raises ModelError for one that only a file can have."""
    model = Model(name, Path(), "remote", choice.chat_template, choice.context_tokens, remote=endpoint)
    return with_devices(with_precision(model, choice.dtype, choice.quantization), choice)


A = TypeVar("A", bound="AdapterSpec")


def find_applied(
    model: Model, choices: Sequence[A], find: Callable[[tuple[A, ...]], tuple[Applied, ...]]
) -> tuple[Applied, ...]:
    """The enabled adapters of a variant on a model: a server's by their names there, others as `find` finds them."""
    if model.remote is None:
        return find(tuple(choices))
    local = [choice for choice in choices if choice.adapter.startswith((".", "/", "~"))]
    named = [choice for choice in choices if choice not in local]
    return (*name_remote_adapters(named), *(find(tuple(local)) if local else ()))


def name_remote_adapters(choices: Sequence[AdapterSpec]) -> tuple[Applied, ...]:
    """The enabled adapters of a variant on a server's model, by the server's names for them. Raises ModelError."""
    return _apply(choices, lambda name: Adapter(name, format="remote"))


def resolve_adapters(choices: Sequence[AdapterSpec], folder: Path, known: Sequence[Adapter]) -> tuple[Applied, ...]:
    """The enabled adapters of a variant, in its order; a scale of 0 counts as off.

    folder: the bench's folder, for relative paths. Raises ModelError that names every one that is not there.
    """
    return _apply(choices, lambda name: _resolve_adapter(name, folder, known))


def _apply(choices: Sequence[AdapterSpec], find: Callable[[str], Adapter]) -> tuple[Applied, ...]:
    applied: list[Applied] = []
    problems: list[ModelError] = []
    for choice in choices:
        if not choice.on or choice.scale == 0:
            continue
        if not math.isfinite(choice.scale):
            hint = "Write a number such as 0.5."
            problems.append(ModelError(f"The scale of {choice.adapter} is {choice.scale}, not a finite number.", hint))
            continue
        try:
            applied.append(Applied(find(choice.adapter), choice.scale))
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
        f"No such adapter: {name!r}.",
        f"{guess}`workbench models` lists what was found. A path to a PEFT folder or a GGUF adapter works too.",
    )


def adapter_at(path: Path, name: str = "") -> Adapter:
    """The adapter in a file or folder, by its form alone. Raises ModelError for anything else."""
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
        f"No adapter at {path}: {found}.",
        f"An adapter is a folder with an {ADAPTER_CONFIG}, or a GGUF file of the type adapter.",
    )


def model_at(path: Path, name: str = "") -> Model:
    """The model in a file or folder, by its form alone. Raises ModelError for anything else."""
    kind = detect_format(path)
    if kind is None and _exists(path):
        check_finished(path)
    if kind is None:
        found = "nothing is there" if not _exists(path) else "this is something else"
        raise ModelError(
            f"No model at {path}: {found}.",
            "A model is a .gguf file, a Hugging Face folder with a config.json, or a .script.json file.",
        )
    return Model(name or (path.name if kind == "hf" else path.stem), path, kind)


def detect_format(path: Path) -> Format | None:
    """The format of a model, by file names alone; None for anything else."""
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
        f"No such model: {name!r}.",
        f"{guess}{listed} A path to a .gguf file works too.",
    )
