"""The devices of a model entry as texts that a person types, one for each field, and read again from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from workbench.device_choice import DeviceChoice, read_offload
from workbench.errors import ModelError
from workbench.models.reference import Format
from workbench.offload import KV_BYTES, Offload
from workbench.runs.bench_model import ModelChoice, check_model
from workbench.sanitize import sanitize_line
from workbench.yaml_tree import YamlParseError, parse_yaml, to_plain


class DeviceField(NamedTuple):
    """A field of a model entry. unsaid: what an empty one means. kind: several are separated by commas."""

    name: str
    format: Format
    unsaid: str
    explanation: str
    kind: Literal["one", "several"] = "one"


DEVICE_FIELDS = (
    DeviceField(
        "gpu_layers",
        "gguf",
        "auto",
        "How many of the last layers go on GPUs, the output among them: auto (as many as fit), all, none or a number.",
    ),
    DeviceField("main_gpu", "gguf", "all of them", "The one GPU that has all offloaded layers, from 0."),
    DeviceField(
        "tensor_split",
        "gguf",
        "by their free memory",
        "The part of the layers that each device has, such as 3, 1.",
        "several",
    ),
    DeviceField(
        "kv_type",
        "gguf",
        "f16",
        f"Numbers of the KV cache: {', '.join(KV_BYTES)}. Packed ones need flash attention; answers change a little.",
    ),
    DeviceField("offload_kv", "gguf", "true", "true: the KV cache is where its layers are; false: it stays in RAM."),
    DeviceField("flash_attention", "gguf", "auto", "auto, on or off."),
    DeviceField(
        "cpu_moe",
        "gguf",
        "auto",
        "Of a mixture of experts: the first layers whose experts stay in RAM; auto: as many as do not fit.",
    ),
    DeviceField(
        "rpc",
        "gguf",
        "none",
        "llama.cpp RPC servers whose devices take layers, such as 10.0.0.2:50052; on a private network alone.",
        "several",
    ),
    DeviceField(
        "public_rpc", "gguf", "false", "true allows RPC servers outside private networks: no encryption, no password."
    ),
    DeviceField("dtype", "hf", "the checkpoint's", "Numbers that it computes in: float32, float16, bfloat16."),
    DeviceField(
        "device_map", "hf", "the first card", "auto: over all graphics cards; or one device: cpu, cuda:1, mps."
    ),
    DeviceField("attention", "hf", "transformers' choice", "eager, sdpa, flash_attention_2 or flash_attention_3."),
)

_EXPECTED = {
    **{
        "gpu_layers": "auto, all, none or a number from 0",
        "main_gpu": "a number from 0",
        "cpu_moe": "auto or a number",
    },
    **{"tensor_split": "numbers such as 3, 1", "offload_kv": "true or false", "public_rpc": "true or false"},
    **{"kv_type": f"one of {', '.join(KV_BYTES)}", "flash_attention": "auto, on or off"},
    **{"dtype": "float32, float16 or bfloat16", "attention": "eager, sdpa, flash_attention_2 or flash_attention_3"},
}

_HINT = "Write them as in a bench, such as gpu_layers: 20, kv_type: q8_0."


def list_device_fields(format: Format) -> tuple[DeviceField, ...]:
    """The fields that a model of a format has; none where it is not of this machine."""
    return tuple(field for field in DEVICE_FIELDS if field.format == format)


def write_device_fields(choice: ModelChoice | DeviceChoice) -> dict[str, str]:
    """The fields that are said, each as a person types it."""
    offload = read_offload(choice)
    own = Offload(**offload)
    written = {name: own.format(name) for name in offload}
    written |= {name: value for name in ("dtype", "device_map", "attention") if (value := getattr(choice, name))}
    return written


def change_device_fields(choice: ModelChoice, texts: Mapping[str, str]) -> ModelChoice:
    """The entry with the fields of a form, where an empty text says nothing.

    Raises ModelError that names what cannot be used.
    """
    given = {
        field.name: _read(field, texts[field.name]) for field in DEVICE_FIELDS if texts.get(field.name, "").strip()
    }
    kept = {name: value for name, value in msgspec.to_builtins(choice).items() if name not in texts}
    try:
        changed = msgspec.convert({**kept, **given}, ModelChoice)
    except msgspec.ValidationError as error:
        raise ModelError(_explain(error, given), _HINT) from error
    problems = [problem.removeprefix("devices.") for problem in check_model("devices", changed)]
    if problems:
        raise ModelError(f"{'; '.join(problems)}.", _HINT)
    return changed


def _explain(error: msgspec.ValidationError, given: Mapping[str, Any]) -> str:
    """The problem with what was expected of the field, where msgspec names one."""
    path = str(error).partition(" - at `$.")[2]
    name = path.rstrip("`").partition("[")[0]
    if name not in _EXPECTED:
        return f"{error}."
    return f"{name}: expected {_EXPECTED[name]}, found {sanitize_line(str(given.get(name)))!r}."


def _read(field: DeviceField, text: str) -> Any:
    """A typed value, as it would be read from a bench. Raises ModelError."""
    written = f"[{text}]" if field.kind == "several" else text.strip()
    if field.name == "rpc":  # a colon and digits are a number of base 60 to some readers
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        read = to_plain(parse_yaml(written))
    except YamlParseError as error:
        raise ModelError(
            f"{field.name}: {sanitize_line(text)!r} cannot be read: {error.problem.message}.", _HINT
        ) from error
    return read
