"""Which devices compute a model, as options of a command; their names are llama.cpp's."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, cast

import typer

from workbench.device_choice import DeviceChoice, read_offload
from workbench.errors import ModelError
from workbench.offload import Offload, find_offload_problems

_HELP: dict[str, tuple[Any, str, str]] = {
    "gpu_layers": (str, "N|auto|all|none", "GGUF: layers on GPUs. Default: as many as fit."),
    "main_gpu": (int, "INDEX", "GGUF: the one GPU that has the whole model."),
    "tensor_split": (str, "N,N", "GGUF: the part of the layers that each GPU has."),
    "kv_type": (str, "TYPE", "GGUF: numbers of the KV cache: f16, bf16, f32, q8_0, q5_1, q5_0, q4_1, q4_0, iq4_nl."),
    "offload_kv": (bool, "", "GGUF: keep the KV cache where the layers are, or in RAM."),
    "flash_attention": (str, "auto|on|off", "GGUF: flash attention."),
    "cpu_moe": (str, "N|auto", "GGUF: first layers whose experts stay on the CPU."),
    "rpc": (list[str], "HOST:PORT", "GGUF: a llama.cpp RPC server that takes layers. Repeatable."),
    "public_rpc": (bool, "", "Allow RPC servers outside private networks."),
    "device_map": (str, "auto|DEVICE", "Hugging Face models: over all devices, or on cpu, cuda:1, mps."),
    "attention": (
        str,
        "NAME",
        "Hugging Face models: eager, sdpa, flash_attention_2, flash_attention_3 or other.",
    ),
}
"""field -> type of the option, metavar, help"""

_FLAGS = {"offload_kv": "--offload-kv/--no-offload-kv", "public_rpc": "--public-rpc"}


def with_device_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command with an option for each, which it is handed as one `devices`."""
    own = inspect.signature(command, eval_str=True)

    def carry_out(**given: Any) -> None:
        values = {name: given.pop(name) for name in _HELP}
        command(**given, devices=read_devices({name: value for name, value in values.items() if value is not None}))

    kept = [parameter for parameter in own.parameters.values() if parameter.name != "devices"]
    signature = own.replace(parameters=[*kept, *map(_make_option, _HELP)])
    wrapped: Any = functools.wraps(command)(carry_out)
    if hasattr(wrapped, "__wrapped__"):
        del wrapped.__wrapped__  # its signature would be read instead
    wrapped.__signature__ = signature
    wrapped.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    return cast(Callable[..., None], wrapped)


def read_devices(given: dict[str, Any]) -> DeviceChoice:
    """The choice of these options. Raises ModelError that names every one that cannot be used."""
    values = dict(given)
    for name in ("gpu_layers", "cpu_moe"):
        if str(values.get(name, "")).lstrip("-").isdecimal():
            values[name] = int(values[name])
    if "tensor_split" in values:
        values["tensor_split"] = _read_split(values["tensor_split"])
    values["rpc"] = tuple(values.get("rpc") or ()) or None
    choice = DeviceChoice(**values)
    if problems := list(find_offload_problems(Offload(**read_offload(choice)))):
        named = [f"--{problem.partition(':')[0].replace('_', '-')}:{problem.partition(':')[2]}" for problem in problems]
        raise ModelError(f"The options cannot be used: {'; '.join(named)}.", "Correct them.")
    return choice


def _make_option(name: str) -> inspect.Parameter:
    kind, metavar, help = _HELP[name]
    flag = _FLAGS.get(name, f"--{name.replace('_', '-')}")
    option = typer.Option(flag, help=help, metavar=metavar or None, rich_help_panel="Devices")
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


def _read_split(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.replace("/", ",").split(","))
    except ValueError:
        raise ModelError(f"--tensor-split {text}: expected numbers, such as 3,1.", "Correct it.") from None
