"""`workbench validate`: all problems of files that a person edits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import terminal
from workbench.cli.options import Json


def main(
    file: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Benches, recipes, prompts, or the settings file.")
    ],
    json: Json = False,
) -> None:
    """List all problems of a bench, recipe or prompt.

    Also of the settings. Each problem has its line. What a file names is looked for too: prompts, models, adapters,
    data, columns, scorers. No model is loaded.

    \b
      workbench validate my.bench.yaml my.recipe.yaml
      workbench validate prompts/*.prompty

    \b
    Exit codes: 0 no problems; 2 there are some, or a file cannot be read.
    """
    from workbench.settings import Settings, load_settings
    from workbench.training.file_check import check_file

    settings = Settings() if all(path.suffix == ".toml" for path in file) else load_settings()
    found = [(path, problem) for path in file for problem in check_file(path, settings)]
    if json:
        import msgspec

        rows = [
            {"file": str(path), "line": one.line or None, "column": one.column or None, "message": one.message}
            for path, one in found
        ]
        terminal.write_json(msgspec.json.format(msgspec.json.encode({"problems": rows})).decode() + "\n")
    for path, one in [] if json else found:
        location = ":".join(str(part) for part in (path, one.line, one.column) if part)
        terminal.write(f"{location}: {one.message}\n")
    broken = {path for path, _ in found}
    for path in file:
        if path not in broken:
            terminal.log(f"{path}: no problems")
    raise typer.Exit(terminal.USAGE if found else terminal.OK)
