"""`workbench schema`: the JSON Schema of a kind of file."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.cli import terminal
from workbench.errors import FileError

KINDS = ("bench", "recipe", "settings")


def main(kind: Annotated[str, typer.Argument(metavar="KIND", help="One of bench, recipe, settings.")]) -> None:
    """Print the JSON Schema of a bench, a recipe or the settings.

    An editor that knows it completes and checks the file. In a YAML file:

    \b
      workbench schema bench > bench.schema.json
      # yaml-language-server: $schema=bench.schema.json     (first line of the bench)
    """
    import msgspec

    from workbench.runs.bench import Bench
    from workbench.runs.file_schema import make_schema
    from workbench.settings import Settings
    from workbench.training.recipe import Recipe

    kinds: dict[str, type[msgspec.Struct]] = dict(zip(KINDS, (Bench, Recipe, Settings), strict=True))
    if kind not in kinds:
        raise FileError(f"No such kind of file: {kind}.", f"Expected {', '.join(KINDS)}.")
    terminal.write_json(msgspec.json.format(msgspec.json.encode(make_schema(kinds[kind]))).decode() + "\n")
