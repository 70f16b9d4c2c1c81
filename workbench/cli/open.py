"""`workbench open`: the screen, which is passed in, so that the command line does not import it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import terminal
from workbench.cli.bench_argument import check_exists, find_bench
from workbench.cli.options import BenchFile


def main(
    context: typer.Context,
    file: BenchFile = None,
    model: Annotated[
        Path | None,
        typer.Option(metavar="MODEL", help="Use this model, a .gguf file or a Hugging Face folder, in every pane."),
    ] = None,
) -> None:
    """Open a comparison on the screen.

    `workbench FILE` is short for this. For a file of cases, such as reviews.csv, a bench is made as by `workbench
    init`, unless there is one. Without a file: prompts/demo.bench.yaml, else the only bench in this folder or in
    prompts/, else your own copy of the shipped demo.
    """
    if file:
        check_exists(file)
    if not terminal.is_interactive():
        terminal.log("workbench: the screen needs a terminal, but stdin or stdout is not one.")
        terminal.log(f"  Without a terminal, use: workbench {_suggest(file)}")
        raise typer.Exit(terminal.USAGE)
    raise typer.Exit(context.obj(find_bench(file) if file else None, model))


def _suggest(file: Path | None) -> str:
    if file and file.suffix.lower() not in (".yaml", ".yml", "") and file.is_file():
        return f"init {file}"
    return f"compare {file or 'FILE.bench.yaml'}"
