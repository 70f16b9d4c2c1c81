"""`workbench new`: the form for a new bench, on the screen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import terminal


def main(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The cases. Default: the first such file in this folder.")
    ] = None,
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="Name or path. Default: the first model that is found.")
    ] = "",
) -> None:
    """Fill in a form for a new bench, on the screen.

    Shows what a bench of these cases would be: task, labels, model, panes and scorers. Enter makes it as `workbench
    init` does, opens it and answers the first case.

    \b
      workbench new
      workbench new reviews.csv --model desk-q8_0
    """
    if not terminal.is_interactive():
        terminal.log("workbench: the form needs a terminal, but stdin or stdout is not one.")
        terminal.log(f"  Without a terminal, use: workbench init {file or 'CASES.csv'}")
        raise typer.Exit(terminal.USAGE)
    from workbench.runs.new_bench import BenchRequest

    raise typer.Exit(context.obj(None, None, BenchRequest(file or Path(), model)))
