"""`workbench judge`: models compare the answers of a run, pairwise."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
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
    from workbench.analysis.pairwise_words import ALL_IDENTICAL, COLUMNS, describe_rating, describe_trust
    from workbench.cli.table import console, make_table, show

    if not matches:
        terminal.log(ALL_IDENTICAL)
        return
    table = make_table(list(COLUMNS), right=list(COLUMNS[1:]))
    for one in result.ratings:
        table.add_row(*map(show, describe_rating(one)))
    console().print(table)
    for line in describe_trust(result):
        console().print(show(line))


def _write_json(matches: Sequence[Match], result: PairwiseResult) -> None:
    import msgspec

    report = {
        "result": result,
        "matches": [{"case": one.case, "a": one.a, "b": one.b, "score": one.score} for one in matches],
    }
    terminal.write_json(msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n")
