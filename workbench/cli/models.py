"""`workbench models`: the models and adapters on this machine, and those of its model servers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli import terminal
from workbench.cli.device_options import with_device_options
from workbench.cli.options import Dtype, Json, Quantization
from workbench.device_choice import DeviceChoice
from workbench.errors import ModelError
from workbench.models.untrusted_files import printable
from workbench.units import format_bytes, format_count

if TYPE_CHECKING:
    from workbench.models.reference import Adapter, Model

_ANY_DEVICE = DeviceChoice()


@with_device_options
def main(
    folder: Annotated[
        list[Path] | None, typer.Argument(metavar="FOLDER", help="Search these folders instead of the usual ones.")
    ] = None,
    json: Json = False,
    about: Annotated[str, typer.Option(metavar="MODEL|URL", help="Show everything about this model or server.")] = "",
    adapter: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="With --about: check this adapter against it. Repeatable."),
    ] = None,
    key_env: Annotated[
        str, typer.Option(metavar="VARIABLE", help="With --about URL: environment variable with the server's key.")
    ] = "",
    dtype: Dtype = "",
    quantization: Quantization = "",
    load: Annotated[bool, typer.Option("--load", help="With --about: load it, and show how it was loaded.")] = False,
    devices: DeviceChoice = _ANY_DEVICE,
) -> None:
    """List the models and adapters of this machine and its servers.

    Searches the settings' model_folders, ./models, the shipped assets, and the caches of Hugging Face, LM Studio,
    llama.cpp and Ollama for GGUF files, Hugging Face folders and adapters. A broken file is listed with its error.
    Without FOLDER, servers on this machine's ports 11434, 1234, 8080, 8000 and 30000 are listed too.
    --about with a server's address probes it and prints its capability card: which sampling fields act, what its
    log-probabilities are, its context, and whether each adapter changes the answer. ADDRESS#NAME names one of several
    models.

    \b
      workbench models ~/models
      workbench models --about desk --adapter queues-lora
      workbench models --about ~/models/Qwen2.5-0.5B --dtype bfloat16 --load
      workbench models --about ~/models/big.gguf --gpu-layers 20 --load
      workbench models --about http://127.0.0.1:8080
      workbench models --about http://127.0.0.1:11434#qwen3:8b

    \b
    Exit codes: 0 success; 2 with --about: the model cannot be read or does not fit
    into memory, an adapter is not compatible with it, or one does not act on the server.
    """
    from workbench.cli.model_details import ModelQuery, print_details

    query = ModelQuery(about, tuple(adapter or ()), dtype, quantization, load, key_env, devices)
    if about:
        raise typer.Exit(print_details(query, json))
    if query != ModelQuery(""):
        raise ModelError(
            "--adapter, --dtype, --quantization, --load, --key-env and options of devices need a model.",
            "Name one with --about.",
        )
    from workbench.cli.model_memory import make_estimator
    from workbench.cli.server_card import describe_servers, print_servers
    from workbench.inference.remote.discovery import find_servers
    from workbench.models.discovery import default_folders, discover_adapters, discover_models
    from workbench.settings import load_settings

    usual = default_folders(load_settings())
    folders = tuple(folder) if folder else usual
    models = discover_models(folders)
    estimate = make_estimator(load_settings())
    rows = [{**_describe(model), "memory": estimate(model)} for model in models]
    applied = discover_adapters(folders)
    bases = (*models, *discover_models(usual)) if applied and folder else models
    adapters = [_describe_adapter(adapter, bases) for adapter in applied]
    servers = [] if folder else find_servers()
    if json:
        import msgspec

        listed = {"models": rows, "adapters": adapters, "servers": describe_servers(servers)}
        terminal.write_json(msgspec.json.format(msgspec.json.encode(listed)).decode() + "\n")
        return
    if rows:
        _print(rows)
    if adapters:
        _print_adapters(adapters)
    if servers:
        print_servers(servers)
    if not rows and not any(server.models for server in servers):
        terminal.log("No models found. Searched:")
        for path in folders:
            terminal.log(f"  {path}")
        terminal.log("Put a .gguf file into ./models, or add its folder to model_folders in the settings.")


def _describe(model: Model) -> dict[str, Any]:
    from workbench.errors import WorkbenchError
    from workbench.models.model_info import inspect_model

    row: dict[str, Any] = {"name": printable(model.name), "path": printable(str(model.path)), "format": model.format}
    row["error"] = None
    try:
        info = inspect_model(model)
    except WorkbenchError as error:
        return {**row, "error": error.message}
    return {
        **row,
        "architecture": info.architecture,
        "quantization": info.quantization,
        "parameters": info.parameters,
        "file_bytes": info.file_bytes,
        "context_trained_tokens": info.context_trained_tokens,
        "has_chat_template": info.has_chat_template,
    }


def _describe_adapter(adapter: Adapter, models: Sequence[Model]) -> dict[str, Any]:
    from workbench.errors import WorkbenchError
    from workbench.models.adapter_info import find_base, inspect_adapter

    row: dict[str, Any] = {"name": printable(adapter.name), "path": printable(str(adapter.path))}
    row |= {"format": adapter.format, "error": None}
    try:
        info = inspect_adapter(adapter)
    except WorkbenchError as error:
        return {**row, "error": error.message}
    return {
        **row,
        "kind": info.kind,
        "base": info.base,
        "ranks": info.ranks,
        "scales": info.scales,
        "targets": info.targets,
        "parameters": info.parameters,
        "file_bytes": info.file_bytes,
        "base_found": find_base(info.base, models) is not None,
        "notes": info.notes,
    }


def _print_adapters(rows: list[dict[str, Any]]) -> None:
    from workbench.cli.table import console, make_table, show

    numbers = ["rank", "scale", "size"]
    table = make_table(["adapter", "type", *numbers, "trained on", "where"], right=numbers)
    for row in rows:
        lines = [row["error"]] if row["error"] else list(row["notes"])
        if not row["error"] and not row["base_found"]:
            lines.append(f"Base model not found: {row['base']}")
        cells = [row["name"], f"{row['format']} {row.get('kind', '')}".strip()]
        if row["error"]:
            cells += ["–", "–", "–", "cannot be read"]
        else:
            cells += [_join(row["ranks"]), _join(row["scales"]), format_bytes(row["file_bytes"]), row["base"]]
        table.add_row(*(show(cell) for cell in [*cells, "\n".join([row["path"], *lines])]))
    console().print(table)


def _join(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values) or "–"


def _print(rows: list[dict[str, Any]]) -> None:
    from workbench.cli.model_memory import describe_fit
    from workbench.cli.table import console, make_table, show

    numbers = ["parameters", "size", "context"]
    table = make_table(["name", "format", "architecture", *numbers, "where"], right=numbers)
    for row in rows:
        known = "file_bytes" in row
        kind = f"{row['format']} {row['quantization']}" if known else row["format"]
        where = "\n".join(filter(None, (row["path"], row["error"], describe_fit(row["memory"]))))
        cells = [row["name"], kind, row.get("architecture", "–" if not row["error"] else "cannot be read")]
        cells += [format_count(row["parameters"]) if known else "–"]
        cells += [format_bytes(row["file_bytes"]) if known else "–"]
        cells += [str(row["context_trained_tokens"]) if known else "–", where]
        table.add_row(*(show(cell) for cell in cells))
    console().print(table)
