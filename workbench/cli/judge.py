"""`workbench judge`: models compare the answers of a run, two by two.

Knows nothing of how they are asked (evaluation/contest.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.cli.tools import open_tools

if TYPE_CHECKING:
    from workbench.evaluation.contest import Bout, Result

_EVERY = 20  # bouts between two words of progress


def main(
    model: Annotated[
        list[str],
        typer.Option(metavar="MODEL", help="Who judges, as a bench names models; may be given several times."),
    ],
    run: Annotated[
        str, typer.Argument(metavar="[RUN]", help="An id or its beginning, last, last~1, or baseline.")
    ] = "last",
    rubric: Annotated[str, typer.Option(help="What the judge is asked.")] = "Which answer is better?",
    prompt: Annotated[str, typer.Option(metavar="NAME", help="A prompt of your own for it.")] = "judge/pairwise",
    against: Annotated[str, typer.Option(metavar="VARIANT", help="Compare each of the others with this one.")] = "",
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first so many cases.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print every verdict and the ratings as JSON.")] = False,
) -> None:
    """Let models compare the answers of a run, two by two.

    A judge sees two answers to one case without their names, twice, the second
    time with the two swapped. Answers that are the same are not compared.
    Ratings are Bradley and Terry's, on Elo's scale around 1000, with 95%
    intervals; both orders count.

    \b
      workbench judge --model ~/models/judge.gguf
      workbench judge 1ieuo0 --model a --model b --against plain --limit 50
    """
    from workbench.evaluation.contest import RIVAL, choose_pairs, conclude, hold
    from workbench.evaluation.scorers.pairwise import Pairwise
    from workbench.evaluation.sources import find_sources
    from workbench.evaluation.view import RunView

    with open_tools() as tools:
        view = RunView(tools.store, run)
        pairs = choose_pairs(view, against)
        wanted = Pairwise(model=tuple(model), rubric=rubric, prompt=prompt, against=RIVAL)
        judge = wanted.locate(Path(view.run.folder))
        sources = find_sources(view.bench, Path(view.run.folder), tools.settings)
        bouts = list(_tell(hold(view, judge, pairs, tools.pool, sources.find_model, limit)))
        result = conclude(view, judge, bouts)
        (_write_json if json else _show)(bouts, result)
    raise typer.Exit(terminal.FAILED if bouts and result.unread == len(bouts) else terminal.OK)


def _tell(bouts: Iterator[Bout]) -> Iterator[Bout]:
    for number, bout in enumerate(bouts, start=1):
        if number % _EVERY == 0:
            terminal.say(f"{number:,} pairs of answers compared")
        yield bout


def _show(bouts: Sequence[Bout], result: Result) -> None:
    from workbench.cli.table import console, make_table, show

    if not bouts:
        terminal.say("No two answers differ: there is nothing to compare.")
        return
    numbers = ["rating", "95%", "won", "lost", "tied"]
    table = make_table(["variant", *numbers], right=numbers)
    for one in result.ratings:
        counts = [str(count) for count in (one.wins, one.losses, one.ties)]
        table.add_row(*map(show, [one.variant, f"{one.rating:.0f}", f"{one.low:.0f} – {one.high:.0f}", *counts]))
    console().print(table)
    for line in _describe(result):
        console().print(show(line))


def _describe(result: Result) -> Iterator[str]:
    """How far the judges can be trusted."""
    yield f"{result.bouts:,} pairs of answers, each in both orders."
    if result.unread:
        yield f"{result.unread:,} of them were not decided: a judge's reply could not be read."
    values = result.values
    if "same_in_both_orders" in values:
        yield (
            f"Swapping the two left the verdict as it was in {values['same_in_both_orders']:.0%} of the comparisons;"
            f" the answer shown first won {values['first_preferred']:.0%} of the time (50% is fair)."
        )
    if "krippendorff_alpha" in values:
        alpha = values["krippendorff_alpha"]
        yield f"The judges' agreement is {alpha:.2f} (Krippendorff's alpha: 1 is full, 0 as by chance)."


def _write_json(bouts: Sequence[Bout], result: Result) -> None:
    import msgspec

    told = {
        "result": result,
        "bouts": [{"case": one.case, "a": one.a, "b": one.b, "score": one.score} for one in bouts],
    }
    terminal.write_json(msgspec.json.format(msgspec.json.encode(told), indent=2).decode() + "\n")
