"""`workbench scorers`: the scorers and their options."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.cli.options import Json
from workbench.errors import ScorerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.scoring.catalog import ScorerHelp, ScorerOption


def main(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Show everything about this scorer.")] = "",
    json: Json = False,
) -> None:
    """List the scorers, with their options.

    Each with what it measures and how to write it in a bench.

    \b
      workbench scorers
      workbench scorers judge
    """
    from workbench.scoring.catalog import common_options, describe_scorers

    entries = {entry.name: entry for entry in describe_scorers()}
    if name and name not in entries:
        near = get_close_matches(name, entries, 1)
        hint = f"Did you mean {near[0]}?" if near else f"The scorers are: {', '.join(entries)}."
        raise ScorerError(f"No such scorer: {name}.", hint)
    chosen = [entries[name]] if name else list(entries.values())
    if json:
        _write_json(chosen)
    elif name:
        _show_one(chosen[0], common_options())
    else:
        _show_all(chosen)


def _show_all(entries: list[ScorerHelp]) -> None:
    from workbench.cli.table import console, make_table, show

    table = make_table(["scorer", "measures", "in a bench"])
    for group in dict.fromkeys(entry.group for entry in entries):
        table.add_row(show(group), style="bold")
        for entry in entries:
            if entry.group == group:
                table.add_row(show(f"  {entry.name}"), show(entry.help), show(f"- {entry.example}"))
    console().print(table)
    terminal.log("`workbench scorers NAME` shows one with its options, and the options of every scorer.")


def _show_one(entry: ScorerHelp, common: Sequence[ScorerOption]) -> None:
    from workbench.cli.table import console, make_table, show
    from workbench.scoring.text.extraction import STEPS

    out = console()
    out.print(show(f"{entry.name}: {entry.help}." + (f"\n{entry.notes}" if entry.notes else "")))
    for title, options in (("option", entry.options), ("every scorer", common)):
        table = make_table([title, "type", "default", "meaning"])
        for one in options:
            kind = f"{one.type}, {one.range}" if one.range else one.type
            table.add_row(*map(show, (one.name, kind, one.default or "(required)", one.help)))
        out.print(table)
    out.print(show(f"extract may be {', '.join(STEPS)}, or a list of these.\n\nscorers:\n  - {entry.example}"))


def _write_json(entries: list[ScorerHelp]) -> None:
    import msgspec

    rows = [{**entry._asdict(), "options": [one._asdict() for one in entry.options]} for entry in entries]
    terminal.write_json(msgspec.json.format(msgspec.json.encode({"scorers": rows})).decode() + "\n")
