"""`workbench models --about`: one model's contents, memory estimate and compatible adapters, loaded or not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from workbench.cli import terminal
from workbench.cli.model_memory import describe_share
from workbench.cli.server_card import print_card
from workbench.device_choice import DeviceChoice
from workbench.endpoint import is_address, make_endpoint
from workbench.errors import ModelError
from workbench.units import format_bytes, format_plural

if TYPE_CHECKING:
    from workbench.models.reference import Adapter, Model, ModelInfo
    from workbench.models.step_plan import StepPlan
    from workbench.settings import Settings


class ModelQuery(NamedTuple):
    """Which model to describe, with which adapters, in which precision, and whether to load it. key_env: variable with
    a server's key."""

    model: str
    adapters: Sequence[str] = ()
    dtype: str = ""
    quantization: str = ""
    load: bool = False
    key_env: str = ""
    devices: DeviceChoice = DeviceChoice()


def print_details(query: ModelQuery, json: bool) -> int:
    """Print the details; the exit code. Raises ModelError for a model or adapter that cannot be read."""
    from workbench.settings import load_settings

    settings = load_settings()
    if server := _find_server(query, settings):
        return print_card(server, query.adapters, settings, json)
    model, adapters = _resolve(query, settings)
    facts = _describe(model, adapters, settings)
    if query.load:
        facts["loaded"] = _load(model, settings)
    if json:
        import msgspec

        terminal.write_json(msgspec.json.format(msgspec.json.encode(facts)).decode() + "\n")
    else:
        _print(facts)
    problems = any(applied["problems"] for applied in facts["adapters"])
    return terminal.USAGE if problems or not facts["memory"]["fits"] else terminal.OK


def _find_server(query: ModelQuery, settings: Settings) -> Model | None:
    """The server's model that is meant, by its address or by its name in the settings; None for one of this machine."""
    from workbench.models.discovery import list_servers
    from workbench.models.reference import Model

    found = next((model for model in list_servers(settings) if model.name == query.model), None)
    if found is None and not is_address(query.model):
        if query.key_env:
            raise ModelError("--key-env is for a server's address.", "Write --about http://127.0.0.1:8080.")
        return None
    if query.dtype or query.quantization or query.load or query.devices != DeviceChoice():
        raise ModelError(
            "--dtype, --quantization, --load and options of devices are for models on this machine, not on a server.",
            "Leave them out.",
        )
    return found or Model(query.model, format="remote", remote=make_endpoint(query.model, key_env=query.key_env))


def _resolve(query: ModelQuery, settings: Settings) -> tuple[Model, list[Adapter]]:
    from workbench.models.discovery import default_folders, discover_adapters, find_known_models
    from workbench.models.reference import resolve_adapters, resolve_model, with_devices, with_precision
    from workbench.runs.bench import AdapterChoice

    folders = default_folders(settings)
    found = resolve_model(query.model, {}, Path.cwd(), find_known_models(settings), settings.offload)
    choices = [AdapterChoice(name) for name in query.adapters]
    applied = resolve_adapters(choices, Path.cwd(), discover_adapters(folders) if choices else ())
    placed = with_devices(with_precision(found, query.dtype, query.quantization), query.devices)
    return placed, [one.adapter for one in applied]


def _describe(model: Model, adapters: Sequence[Adapter], settings: Settings) -> dict[str, Any]:
    from workbench.inference.device_inventory import DeviceInventory
    from workbench.inference.sizes import context_size
    from workbench.models.memory_estimate import expect_in_memory
    from workbench.models.placement_estimate import estimate_pane

    info = expect_in_memory(model)
    tokens = context_size(model, info, settings.max_context_tokens)
    found = DeviceInventory().find(model.offload) if model.format == "gguf" else None
    estimate = estimate_pane(model, adapters, tokens, devices=found.devices if found else ())
    memory = {**estimate._asdict(), "shares": [describe_share(share) for share in estimate.shares]}
    return {
        "name": model.name,
        "path": str(model.path),
        "format": model.format,
        "architecture": info.architecture,
        "stored": info.quantization,
        "dtype": info.dtype,
        "quantization": model.quantization or info.quantization,
        "parameters": info.parameters,
        "context_trained_tokens": info.context_trained_tokens,
        "vocabulary": info.vocabulary,
        "has_chat_template": info.has_chat_template,
        "memory": {**memory, "context_tokens": tokens, "total": estimate.total, "fits": estimate.fits},
        "device_problems": list(found.problems) if found else [],
        "adapters": [_describe_adapter(adapter, model) for adapter in adapters],
    }


def _describe_adapter(adapter: Adapter, model: Model) -> dict[str, Any]:
    import msgspec

    from workbench.models.adapter_info import check_values, inspect_adapter, matches_base
    from workbench.models.compatibility import check_compatible

    row: dict[str, Any] = {"name": adapter.name, "path": str(adapter.path)}
    try:
        info = inspect_adapter(adapter)
        check_values(adapter)
    except ModelError as error:
        return {**row, "problems": [error.message]}
    known = bool(info.base) and matches_base(info.base, model)
    return {
        **row,
        **msgspec.structs.asdict(info),
        "base_is_this": known,
        "problems": list(check_compatible(adapter, model)),
    }


def _load(model: Model, settings: Settings) -> dict[str, Any]:
    from workbench.inference.pool import Pool

    pool = Pool.configured(settings)
    try:
        info: ModelInfo = pool.load(model).result()
        memory = next(iter(pool.loaded_models())).memory_bytes
    finally:
        pool.close()
    kept = ("engine", "device", "dtype", "quantization", "context_tokens", "unsupported_sampling")
    about_load = {
        "placement": [describe_share(share) for share in info.placement],
        "load_notes": list(info.load_notes),
        "step_plan": _describe_steps(info.step_plan),
    }
    return {**{name: getattr(info, name) for name in kept}, **about_load, "process_bytes": memory}


def _describe_steps(plan: StepPlan | None) -> dict[str, Any] | None:
    """How steps on devices are laid out; None where only the CPU computes."""
    import msgspec

    return {**msgspec.structs.asdict(plan), "lines": list(plan.lines)} if plan else None


def _print(facts: dict[str, Any]) -> None:
    memory = facts["memory"]
    applied = f", adapters {format_bytes(memory['adapters'])}" if memory["adapters"] else ""
    total, free = format_bytes(memory["total"]), format_bytes(memory["free"])
    whole = f"{total} of {free} free: {'fits' if memory['total'] <= memory['free'] else 'does not fit'}"
    overhead = format_bytes(memory["overhead"])
    rows = [
        ("file", facts["path"]),
        ("architecture", f"{facts['architecture']}, {facts['parameters']:,} parameters"),
        ("stored as", facts["stored"]),
        ("computed in", _precision(facts["dtype"], facts["quantization"])),
        ("context", f"{facts['context_trained_tokens']:,} tokens trained"),
        ("chat template", "its own" if facts["has_chat_template"] else "none: a plain default is used"),
        (
            "memory",
            f"weights {format_bytes(memory['weights'])}, {memory['context_tokens']:,} tokens of context"
            f" {format_bytes(memory['caches'])}{applied}, process and buffers {overhead}; {whole}",
        ),
    ]
    if memory["shares"]:
        rows.append(("", f"{format_plural(memory['layers'], 'layer')} on the CPU"))
    rows += [("", _format_estimate(share)) for share in memory["shares"]]
    if memory["expert_layers"]:
        rows.append(("", f"the experts of {format_plural(memory['expert_layers'], 'layer')} stay in RAM"))
    rows += [("", problem) for problem in facts["device_problems"]]
    if loaded := facts.get("loaded"):
        how = _precision(loaded["dtype"], loaded["quantization"])
        rows.append(("loaded", f"by {loaded['engine']} on {loaded['device'] or 'cpu'}, {how}"))
        used = format_bytes(loaded["process_bytes"])
        rows.append(("", f"{loaded['context_tokens']:,} tokens of context; its process uses {used}"))
        rows += [("", _format_share(share)) for share in loaded["placement"]]
        if plan := loaded["step_plan"]:
            rows += [("" if number else "steps", line) for number, line in enumerate(plan["lines"])]
        rows += [("", note) for note in loaded["load_notes"]]
    terminal.write(f"{facts['name']}\n" + "".join(f"  {name:<15}{value}\n" for name, value in rows))
    for adapter in facts["adapters"]:
        _print_adapter(adapter)


def _format_estimate(share: dict[str, Any]) -> str:
    """What a device will have, against what is free there."""
    taken, free = format_bytes(share["bytes"]), format_bytes(share["free_bytes"])
    return f"{_format_share(share)}; {taken} of {free} free: {'fits' if share['fits'] else 'does not fit'}"


def _format_share(share: dict[str, Any]) -> str:
    sizes = ", ".join(
        f"{what} {format_bytes(share[field])}"
        for what, field in (("weights", "weights_bytes"), ("KV cache", "kv_bytes"), ("buffers", "compute_bytes"))
    )
    return f"{share['device']}: {format_plural(share['layers'], 'layer')}, {sizes}"


def _print_adapter(adapter: dict[str, Any]) -> None:
    lines = [f"\n{adapter['name']}"]
    if "kind" in adapter:
        ranks, scales = (", ".join(f"{value:g}" for value in adapter[name]) or "none" for name in ("ranks", "scales"))
        lines.append(
            f"  {adapter['kind']}, rank {ranks}, scale {scales}, on {', '.join(adapter['targets']) or 'nothing'}"
        )
        lines.append(f"  trained on {adapter['base'] or 'an unnamed base'}")
        lines += [f"  {note}" for note in adapter["notes"]]
    fits = (
        "✓ compatible" if adapter.get("base_is_this") else "? shapes match; unknown whether it was trained on this base"
    )
    lines += [f"  ✗ {problem}" for problem in adapter["problems"]] or [f"  {fits}"]
    terminal.write("\n".join(lines) + "\n")


def _precision(dtype: str, quantization: str) -> str:
    """The numbers a model is computed in, and how its weights are packed where they are."""
    return " ".join(filter(None, (dtype, quantization if quantization not in ("F32", "F16", "BF16") else "")))
