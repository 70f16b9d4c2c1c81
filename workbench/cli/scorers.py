"""`workbench scorers`: what can judge an answer.

Knows nothing of how any of them does it (evaluation/scorers/).
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.errors import ScorerError

if TYPE_CHECKING:
    from workbench.evaluation.scorers.catalog import Entry


def main(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Say everything about this one.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the scorers, with their options.

    Each with what it asks and how it is written in a bench.

    \b
      workbench scorers
      workbench scorers judge
    """
    from workbench.evaluation.scorers.catalog import describe_common, describe_scorers

    entries = {entry.name: entry for entry in describe_scorers()}
    if name and name not in entries:
        near = get_close_matches(name, entries, 1)
        hint = f"Did you mean {near[0]}?" if near else f"The scorers are: {', '.join(entries)}."
        raise ScorerError(f"No scorer is called {name!r}.", hint)
    chosen = [entries[name]] if name else list(entries.values())
    if json:
        _write_json(chosen)
    elif name:
        _show_one(chosen[0], describe_common())
    else:
        _show_all(chosen)


def _show_all(entries: list[Entry]) -> None:
    from workbench.cli.table import console, make_table, show

    table = make_table(["scorer", "asks whether, or how far", "in a bench"])
    for entry in entries:
        table.add_row(show(entry.name), show(entry.question), show(f"- {entry.example}"))
    console().print(table)
    terminal.say("`workbench scorers NAME` says more about one, with the options that all of them take.")


def _show_one(entry: Entry, common: Entry) -> None:
    from workbench.cli.table import console, make_table, show
    from workbench.evaluation.scorers.extraction import STEPS

    out = console()
    out.print(show(f"{entry.name}: {entry.question}." + (f"\n{entry.notes}" if entry.notes else "")))
    for title, options in (("option", entry.options), ("any scorer takes", common.options)):
        table = make_table([title, "unless given", "meaning"])
        for one in options:
            table.add_row(show(one.name), show(one.default or "(has to be given)"), show(one.meaning))
        out.print(table)
    out.print(show(f"extract may be {', '.join(STEPS)}, or a list of them.\n\nscorers:\n  - {entry.example}"))


def _write_json(entries: list[Entry]) -> None:
    import msgspec

    rows = [{**entry._asdict(), "options": [one._asdict() for one in entry.options]} for entry in entries]
    terminal.write_json(msgspec.json.format(msgspec.json.encode({"scorers": rows})).decode() + "\n")
