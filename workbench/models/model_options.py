"""A model opened as a person asks: its precision, its devices, further variables of its chat template."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast, get_args

import msgspec

from workbench.device_choice import NO_CHOICE, DeviceChoice, DeviceOptions, merge_offload, read_offload
from workbench.errors import ModelError
from workbench.models.model import Attention, Dtype, Model, Quantization
from workbench.offload import Offload, find_offload_problems


def with_precision(model: Model, dtype: str, quantization: str) -> Model:
    """The model in the precision that a person asks for; its own dtype where none is. Raises ModelError for one that it
    cannot have."""
    kinds = (("dtype", dtype, get_args(Dtype)), ("quantization", quantization, get_args(Quantization)))
    wrong = [
        f"{name}: expected one of {', '.join(known[1:])}, found {value!r}"
        for name, value, known in kinds
        if value not in known
    ]
    if wrong:
        raise ModelError(f"{model.name} cannot be opened so: {' and '.join(wrong)}.", "Correct it, or leave it out.")
    if (dtype or quantization) and model.format != "hf":
        raise ModelError(
            f"{model.name} cannot be opened with {' and '.join(filter(None, (dtype, quantization)))}: only a Hugging"
            " Face folder can; a GGUF file's precision is in the file, a server's is the server's own.",
            "Leave dtype and quantization out, or convert the file to another type: workbench convert.",
        )
    return msgspec.structs.replace(
        model, dtype=cast(Dtype, dtype) or model.dtype, quantization=cast(Quantization, quantization)
    )


def with_devices(model: Model, choice: DeviceOptions) -> Model:
    """The model on the devices that a person asks for, and for the rest as it was. Raises ModelError for what it cannot
    have."""
    offload = merge_offload(model.offload, choice)
    wrong = list(find_offload_problems(offload))
    if choice.attention not in get_args(Attention):
        wrong.append(f"attention: expected one of {', '.join(get_args(Attention)[1:])}, found {choice.attention!r}")
    if wrong:
        raise ModelError(f"{model.name} cannot be opened so: {'; '.join(wrong)}.", "Correct it, or leave it out.")
    foreign = Offload(**read_offload(choice)).given if model.format != "gguf" else ()
    if model.format != "hf":
        foreign += tuple(name for name in ("device_map", "attention") if getattr(choice, name))
    if foreign:
        raise ModelError(
            f"{model.name} cannot be opened with {', '.join(foreign)}: gpu_layers, kv_type and their like are for GGUF"
            " files, device_map and attention for Hugging Face folders; a server places its models itself.",
            "Leave them out.",
        )
    return msgspec.structs.replace(
        model,
        offload=offload if model.format == "gguf" else model.offload,
        device_map=choice.device_map or model.device_map,
        attention=choice.attention or model.attention,
    )


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


def with_defaults(model: Model, defaults: DeviceChoice) -> Model:
    """The model on the devices that this machine's settings name, as far as they are for its format."""
    if defaults == NO_CHOICE:
        return model
    if model.format == "gguf":
        return msgspec.structs.replace(model, offload=merge_offload(model.offload, defaults))
    if model.format != "hf":
        return model
    return msgspec.structs.replace(
        model,
        dtype=defaults.dtype or model.dtype,
        device_map=defaults.device_map or model.device_map,
        attention=defaults.attention or model.attention,
    )
