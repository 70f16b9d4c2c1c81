"""`workbench votes`: ratings from blind votes on a run, and the votes as training data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.cli.options import RunId
from workbench.cli.services import open_store
from workbench.errors import WorkbenchError
from workbench.units import format_date, format_plural

if TYPE_CHECKING:
    from workbench.analysis.votes import Votes
    from workbench.runs.view import RunView


def main(
    run: RunId = "last",
    every: Annotated[bool, typer.Option("--list", help="List every vote instead of the ratings.")] = False,
    export: Annotated[
        bool, typer.Option("--export", help="Print the votes as preference pairs, as JSON Lines.")
    ] = False,
    prompt_of: Annotated[
        str,
        typer.Option(metavar="VARIANT", help="Use this variant's prompt in every pair. Default: the preferred one's."),
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print ratings, or with --list votes, as JSON.")] = False,
) -> None:
    """Show ratings from blind votes, or export the votes.

    Votes are cast on the screen of a run: two answers to one case, names hidden. Ratings are Bradley-Terry, on the Elo
    scale around 1000, with 95% intervals. Exported pairs are in the format of TRL's preference trainers; ties are left
    out. Pass --prompt-of the variant whose prompt the adapter is trained for.

    \b
      workbench votes
      workbench votes 1ieuo0 --list
      workbench votes --export --prompt-of plain > preferences.jsonl
    """
    from workbench.analysis.votes import Votes
    from workbench.runs.view import RunView

    with open_store() as store:
        view = RunView(store, run)
        votes = Votes(store, view)
        if export:
            _export(view, votes, prompt_of)
        elif every:
            _list(votes, json)
        else:
            _rate(view, votes, json)


def _export(view: RunView, votes: Votes, prompt_of: str) -> None:
    import msgspec

    from workbench.analysis.preferences import export_preferences

    if prompt_of and prompt_of not in view.variants:
        raise WorkbenchError(f"No such variant: {prompt_of}.", f"The run has: {', '.join(view.variants)}.")
    cast = votes.list()
    count = 0
    for record in export_preferences(view, cast, prompt_of):
        terminal.write_json(msgspec.json.encode(record).decode() + "\n")
        count += 1
    ties = sum(one.choice == "tie" for one in cast)
    terminal.log(
        f"{format_plural(count, 'pair')} from {format_plural(len(cast), 'vote')};"
        f" {format_plural(ties, 'tie')} left out."
    )


def _list(votes: Votes, json: bool) -> None:
    import msgspec

    from workbench.cli.table import console, make_table, show

    cast = votes.list()
    if json:
        terminal.write_json(msgspec.json.format(msgspec.json.encode(cast), indent=2).decode() + "\n")
        return
    table = make_table(["case", "left", "right", "preferred", "when"], right=["case"])
    for one in cast:
        when = format_date(one.at)
        table.add_row(*map(show, [str(one.case), one.left_variant, one.right_variant, one.winner or "neither", when]))
    console().print(table)


def _rate(view: RunView, votes: Votes, json: bool) -> None:
    import msgspec

    from workbench.cli.table import console, make_table, show

    ratings = votes.ratings()
    if json:
        terminal.write_json(msgspec.json.format(msgspec.json.encode(ratings), indent=2).decode() + "\n")
        return
    if not ratings:
        terminal.log(f"No votes on run {view.id} yet. Open it on the screen and press v to vote.")
        return
    numbers = ["rating", "95%", "won", "lost", "tied"]
    table = make_table(["variant", *numbers], right=numbers)
    for one in ratings:
        interval = f"{one.low:.0f} – {one.high:.0f}"
        counts = [str(count) for count in (one.wins, one.losses, one.ties)]
        table.add_row(*map(show, [one.variant, f"{one.rating:.0f}", interval, *counts]))
    console().print(table)
