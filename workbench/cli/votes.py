"""`workbench votes`: what blind votes say of a run's variants, and the votes as training data.

Knows nothing of how votes are cast (the screen) or ratings computed (evaluation/votes.py).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.cli.tools import open_store
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.evaluation.view import RunView
    from workbench.evaluation.votes import Votes


def main(
    run: Annotated[
        str, typer.Argument(metavar="[RUN]", help="An id or its beginning, last, last~1, or baseline.")
    ] = "last",
    every: Annotated[bool, typer.Option("--list", help="List every vote instead of the ratings.")] = False,
    export: Annotated[bool, typer.Option("--export", help="Print the votes as preference pairs, JSON lines.")] = False,
    prompt_of: Annotated[
        str,
        typer.Option(metavar="VARIANT", help="Begin every pair with this variant's prompt; else the preferred one's."),
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print ratings, or with --list votes, as JSON.")] = False,
) -> None:
    """Show what blind votes say, or export them for training.

    Votes are cast in the screen of a run: two answers to one case, names hidden.
    Ratings are Bradley and Terry's, on Elo's scale around 1000, with 95%
    intervals. Exported pairs are what TRL's preference trainers read; ties are
    left out. Give --prompt-of the variant whose prompt the adapter is trained for.

    \b
      workbench votes
      workbench votes 1ieuo0 --list
      workbench votes --export --prompt-of plain > preferences.jsonl
    """
    from workbench.evaluation.view import RunView
    from workbench.evaluation.votes import Votes

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

    from workbench.evaluation.preferences import export_preferences

    if prompt_of and prompt_of not in view.variants:
        raise WorkbenchError(f"No variant is called {prompt_of}.", f"The run has: {', '.join(view.variants)}.")
    cast = votes.list()
    count = 0
    for record in export_preferences(view, cast, prompt_of):
        terminal.write_json(msgspec.json.encode(record).decode() + "\n")
        count += 1
    ties = sum(one.choice == "tie" for one in cast)
    terminal.say(f"{count:,} pairs from {len(cast):,} votes; {ties:,} ties decide nothing.")


def _list(votes: Votes, json: bool) -> None:
    import msgspec

    from workbench.cli.table import console, make_table, show

    cast = votes.list()
    if json:
        terminal.write_json(msgspec.json.format(msgspec.json.encode(cast), indent=2).decode() + "\n")
        return
    table = make_table(["case", "left", "right", "preferred", "when (UTC)"], right=["case"])
    for one in cast:
        when = datetime.fromtimestamp(one.at, UTC).strftime("%Y-%m-%d %H:%M")
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
        terminal.say(f"Nobody has voted on run {view.id} yet: open it on the screen, and vote there.")
        return
    numbers = ["rating", "95%", "won", "lost", "tied"]
    table = make_table(["variant", *numbers], right=numbers)
    for one in ratings:
        interval = f"{one.low:.0f} – {one.high:.0f}"
        counts = [str(count) for count in (one.wins, one.losses, one.ties)]
        table.add_row(*map(show, [one.variant, f"{one.rating:.0f}", interval, *counts]))
    console().print(table)
