"""`workbench judge`: models compare the answers of a run, pairwise."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.cli.options import Limit, RunId
from workbench.cli.services import open_services
from workbench.units import format_plural

if TYPE_CHECKING:
    from workbench.analysis.pairwise import Match, PairwiseResult
    from workbench.inference.pool import Pool
    from workbench.runs.sources import Sources
    from workbench.runs.view import RunView
    from workbench.scoring.scorers.pairwise import PairwiseJudge

_EVERY = 20  # matches between two lines of progress


def main(
    model: Annotated[
        list[str],
        typer.Option(metavar="MODEL", help="The judge: a model's name or path. Repeat for a panel of judges."),
    ],
    run: RunId = "last",
    rubric: Annotated[
        str, typer.Option(metavar="TEXT", help="The question for the judge.")
    ] = "Which answer is better?",
    prompt: Annotated[
        str, typer.Option(metavar="NAME", help="Prompt of the judge, from the library.")
    ] = "judge/pairwise",
    against: Annotated[str, typer.Option(metavar="VARIANT", help="Compare all others with this variant only.")] = "",
    limit: Limit = None,
    json: Annotated[bool, typer.Option("--json", help="Print every verdict and the ratings as JSON.")] = False,
) -> None:
    """Let models judge the answers of a run, pairwise.

    A judge sees two answers to one case without their names, twice, with the order swapped the second time. Identical
    answers are skipped. Ratings are Bradley-Terry, on the Elo scale around 1000, with 95% intervals; both orders count.

    \b
      workbench judge --model ~/models/judge.gguf
      workbench judge 1ieuo0 --model a --model b --against plain --limit 50
    """
    from workbench.analysis.pairwise import choose_pairs, rate_matches
    from workbench.runs.sources import find_sources
    from workbench.runs.view import RunView
    from workbench.scoring.scorers.pairwise import PairwiseConfig

    with open_services() as services:
        view = RunView(services.store, run)
        pairs = choose_pairs(view, against)
        wanted = PairwiseConfig(model=tuple(model), rubric=rubric, prompt=prompt)
        judge = wanted.build(Path(view.run.folder))
        sources = find_sources(view.bench, Path(view.run.folder), services.settings)
        matches = asyncio.run(_run(view, judge, pairs, services.pool, sources, limit))
        result = rate_matches(view, judge, matches)
        (_write_json if json else _show)(matches, result)
    raise typer.Exit(terminal.FAILED if matches and result.undecided == len(matches) else terminal.OK)


async def _run(
    view: RunView,
    judge: PairwiseJudge,
    pairs: Sequence[tuple[str, str]],
    pool: Pool,
    sources: Sources,
    limit: int | None,
) -> list[Match]:
    from workbench.analysis.pairwise import run_matches

    matches = []
    async for match in run_matches(view, judge, pairs, pool, sources, limit):
        matches.append(match)
        if len(matches) % _EVERY == 0:
            terminal.log(f"{format_plural(len(matches), 'pair')} of answers compared")
    return matches


def _show(matches: Sequence[Match], result: PairwiseResult) -> None:
    from workbench.cli.table import console, make_table, show

    if not matches:
        terminal.log("All answers are identical: nothing to compare.")
        return
    numbers = ["rating", "95%", "won", "lost", "tied"]
    table = make_table(["variant", *numbers], right=numbers)
    for one in result.ratings:
        counts = [str(count) for count in (one.wins, one.losses, one.ties)]
        table.add_row(*map(show, [one.variant, f"{one.rating:.0f}", f"{one.low:.0f} – {one.high:.0f}", *counts]))
    console().print(table)
    for line in _describe(result):
        console().print(show(line))


def _describe(result: PairwiseResult) -> Iterator[str]:
    """How far to trust the judges."""
    yield f"{format_plural(result.matches, 'pair')} of answers, each in both orders."
    if result.undecided:
        yield f"{result.undecided:,} of them are undecided: a judge's reply could not be parsed."
    values = result.values
    if "same_in_both_orders" in values:
        yield (
            f"Swapping the two left the verdict as it was in {values['same_in_both_orders']:.0%} of the comparisons;"
            f" the answer shown first won {values['first_preferred']:.0%} of the time (50% is fair)."
        )
    if "krippendorff_alpha" in values:
        alpha = values["krippendorff_alpha"]
        yield f"The judges' agreement is {alpha:.2f} (Krippendorff's alpha: 1 is full, 0 as by chance)."


def _write_json(matches: Sequence[Match], result: PairwiseResult) -> None:
    import msgspec

    report = {
        "result": result,
        "matches": [{"case": one.case, "a": one.a, "b": one.b, "score": one.score} for one in matches],
    }
    terminal.write_json(msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n")
