"""`workbench prompts`: the library's prompts.

Knows nothing of how a library is kept (library/library.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import terminal


def main(
    query: Annotated[str, typer.Argument(metavar="WORDS", help="Only prompts that have these words.")] = "",
    library: Annotated[Path | None, typer.Option(help="The library's folder.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the prompts of the library.

    Your own ones (in the settings' library, else in ./prompts) and the shipped ones.
    """
    import msgspec

    from workbench.evaluation.opening import open_library
    from workbench.settings import load_settings

    settings = load_settings()
    if library:
        settings = msgspec.structs.replace(settings, library=str(library))
    entries = open_library(settings).entries(query)
    if json:
        rows = [
            {"name": e.name, "description": e.description, "path": str(e.path), "read_only": e.read_only}
            for e in entries
        ]
        terminal.write_json(msgspec.json.format(msgspec.json.encode({"prompts": rows})).decode() + "\n")
        return
    if not entries:
        terminal.say(f"No prompt has {query!r}." if query else "The library is empty.")
        return
    from workbench.cli.table import console, make_table, show

    table = make_table(["name", "description", "where"])
    for entry in entries:
        where = f"{entry.path}{' (shipped, read only)' if entry.read_only else ''}"
        table.add_row(show(entry.name), show(entry.description), show(where))
    console().print(table)
