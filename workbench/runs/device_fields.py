"""The devices of a model entry as one line of text, as it stands in a bench: `gpu_layers: 20, kv_type: q8_0`."""

from __future__ import annotations

from typing import Any

import msgspec

from workbench.errors import ModelError
from workbench.models.offload import Offload
from workbench.runs.bench_model import ModelChoice, check_model
from workbench.yaml_render import render_inline
from workbench.yaml_tree import YamlParseError, parse_yaml, to_plain

FIELDS = (*Offload.__struct_fields__, "device_map", "attention")
_HINT = "Write them as in a bench, such as gpu_layers: 20, kv_type: q8_0."


def write_device_fields(choice: ModelChoice) -> str:
    """Those that are not as they are by default; "" where all are."""
    usual = ModelChoice()
    given = {name: getattr(choice, name) for name in FIELDS if getattr(choice, name) != getattr(usual, name)}
    return ", ".join(f"{name}: {render_inline(msgspec.to_builtins(value))}" for name, value in given.items())


def change_device_fields(choice: ModelChoice, text: str) -> ModelChoice:
    """The entry with the fields of a text, and all others of them at their defaults.

    Raises ModelError that names what cannot be used.
    """
    given = _read(text)
    unknown = [name for name in given if name not in FIELDS]
    if unknown:
        raise ModelError(f"Devices: no field is named {unknown[0]!r}.", f"The fields are {', '.join(FIELDS)}.")
    kept = {name: value for name, value in msgspec.to_builtins(choice).items() if name not in FIELDS}
    try:
        changed = msgspec.convert({**kept, **given}, ModelChoice)
    except msgspec.ValidationError as error:
        raise ModelError(f"Devices: {error}.", _HINT) from error
    problems = [problem.removeprefix("devices.") for problem in check_model("devices", changed)]
    if problems:
        raise ModelError(f"Devices: {'; '.join(problems)}.", _HINT)
    return changed


def _read(text: str) -> dict[str, Any]:
    try:
        read = to_plain(parse_yaml(f"{{{text}}}"))
    except YamlParseError as error:
        raise ModelError(f"Devices: {text!r} cannot be read: {error.problem.message}.", _HINT) from error
    return read if isinstance(read, dict) else {}
