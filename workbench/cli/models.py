"""`workbench models`: what can answer and what can be laid over it, and where it lies.

Knows nothing of how models are found (models/discover.py) or read (models/inspect.py,
models/adapter.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli import terminal
from workbench.errors import ModelError
from workbench.models.foreign_file import printable

if TYPE_CHECKING:
    from workbench.models.reference import Adapter, Model

_BYTES = ("B", "KiB", "MiB", "GiB")


def main(
    folder: Annotated[
        list[Path] | None, typer.Argument(metavar="FOLDER", help="Look here instead of in the usual places.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    about: Annotated[str, typer.Option(metavar="MODEL", help="Only this one, with all that is known of it.")] = "",
    adapter: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="With --about: laid over it, and checked; may be given several times."),
    ] = None,
    dtype: Annotated[str, typer.Option(help="With --about: float32, float16 or bfloat16.")] = "",
    quantization: Annotated[str, typer.Option(help="With --about: 8bit or 4bit, by bitsandbytes.")] = "",
    load: Annotated[bool, typer.Option("--load", help="With --about: load it, and say how it was opened.")] = False,
) -> None:
    """List the models and adapters that can be seen.

    GGUF files, Hugging Face folders and adapters are looked for in the settings' model_folders, ./models, the
    shipped assets, and what Hugging Face, LM Studio, llama.cpp and Ollama have fetched. A broken file is listed
    with what is wrong with it.

    \b
      workbench models ~/models
      workbench models --about desk --adapter queues-lora
      workbench models --about ~/models/Qwen2.5-0.5B --dtype bfloat16 --load

    \b
    Exit codes: 0 all went well; 2 the model of --about cannot be read, does not
    fit into memory, or an adapter does not go with it.
    """
    from workbench.cli.about import Wish, tell

    wish = Wish(about, tuple(adapter or ()), dtype, quantization, load)
    if about:
        raise typer.Exit(tell(wish, json))
    if wish != Wish(""):
        raise ModelError(
            "--adapter, --dtype, --quantization and --load say more of one model.", "Name it with --about."
        )
    from workbench.models.discover import default_folders, discover_adapters, discover_models
    from workbench.settings import load_settings

    usual = default_folders(load_settings())
    folders = tuple(folder) if folder else usual
    models = discover_models(folders)
    rows = [_describe(model) for model in models]
    laid = discover_adapters(folders)
    bases = (*models, *discover_models(usual)) if laid and folder else models
    adapters = [_describe_adapter(adapter, bases) for adapter in laid]
    if json:
        import msgspec

        listed = {"models": rows, "adapters": adapters}
        terminal.write_json(msgspec.json.format(msgspec.json.encode(listed)).decode() + "\n")
        return
    if rows:
        _print(rows)
    if adapters:
        _print_adapters(adapters)
    if not rows:
        terminal.say("No model was found. Looked in:")
        for place in folders:
            terminal.say(f"  {place}")
        terminal.say("Put a .gguf file into ./models, or name its folder in the settings' model_folders.")


def _describe(model: Model) -> dict[str, Any]:
    from workbench.errors import WorkbenchError
    from workbench.models.inspect import inspect

    row: dict[str, Any] = {"name": printable(model.name), "path": printable(str(model.path)), "format": model.format}
    row["error"] = None
    try:
        info = inspect(model)
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
    from workbench.models.adapter import inspect_adapter
    from workbench.models.lineage import find_base

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
        said = [row["error"]] if row["error"] else list(row["notes"])
        if not row["error"] and not row["base_found"]:
            said.append(f"Its base, {row['base']}, is not among the models that were found.")
        cells = [row["name"], f"{row['format']} {row.get('kind', '')}".strip()]
        if row["error"]:
            cells += ["–", "–", "–", "cannot be read"]
        else:
            cells += [_join(row["ranks"]), _join(row["scales"]), _scale(row["file_bytes"], 1024, _BYTES), row["base"]]
        table.add_row(*(show(cell) for cell in [*cells, "\n".join([row["path"], *said])]))
    console().print(table)


def _join(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values) or "–"


def _print(rows: list[dict[str, Any]]) -> None:
    from workbench.cli.table import console, make_table, show

    numbers = ["parameters", "size", "context"]
    table = make_table(["name", "format", "architecture", *numbers, "where"], right=numbers)
    for row in rows:
        known = "file_bytes" in row
        kind = f"{row['format']} {row['quantization']}" if known else row["format"]
        where = f"{row['path']}\n{row['error']}" if row["error"] else row["path"]
        cells = [row["name"], kind, row.get("architecture", "–" if not row["error"] else "cannot be read")]
        cells += [_scale(row["parameters"], 1000, ("", "K", "M", "B")) if known else "–"]
        cells += [_scale(row["file_bytes"], 1024, _BYTES) if known else "–"]
        cells += [str(row["context_trained_tokens"]) if known else "–", where]
        table.add_row(*(show(cell) for cell in cells))
    console().print(table)


def _scale(value: float, step: int, units: tuple[str, ...]) -> str:
    for unit in units[:-1]:
        if value < step:
            return f"{value:.3g} {unit}".strip()
        value /= step
    return f"{value:.3g} {units[-1]}"
