"""`workbench open`: the screen.

Knows nothing of the screen itself: it is handed in.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import terminal


def main(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(metavar="FILE.bench.yaml", help="The comparison to open.")] = None,
    model: Annotated[Path | None, typer.Option(help="Your own model, a .gguf file, for every pane.")] = None,
) -> None:
    """Open a comparison on the screen.

    `workbench FILE` is short for this. Without a file: prompts/demo.bench.yaml, else the only bench in this
    folder or in prompts/, else your own copy of the shipped demo.
    """
    if not terminal.is_there():
        terminal.say("workbench: the screen needs a terminal, and this is none.")
        terminal.say(f"  Without one, try: workbench compare {file or 'FILE.bench.yaml'}")
        raise typer.Exit(terminal.USAGE)
    raise typer.Exit(context.obj(file, model))
