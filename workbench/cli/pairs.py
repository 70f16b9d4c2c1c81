"""`workbench pairs`: the best and the worst answer to each case of a run, as preference pairs."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.cli import terminal
from workbench.cli.options import RunId
from workbench.cli.services import open_store
from workbench.errors import WorkbenchError
from workbench.units import format_plural


def main(
    run: RunId = "last",
    scorer: Annotated[
        str, typer.Option(metavar="NAME", help="Scorer that decides, such as a judge. Default: the first.")
    ] = "",
    variant: Annotated[
        str, typer.Option(metavar="NAME", help="Compare this variant's repeats only. Default: all answers to a case.")
    ] = "",
    margin: Annotated[
        float, typer.Option(min=0.0, metavar="X", help="How much better the best answer has to score.")
    ] = 0.0,
    prompt_of: Annotated[
        str, typer.Option(metavar="VARIANT", help="Use this variant's prompt in every pair. Default: the better one's.")
    ] = "",
) -> None:
    """Make preference pairs from the scores of a run.

    Of the answers to each case, by all variants or by the repeats of one, the best becomes `chosen` and the worst
    `rejected`. Cases whose answers score alike are left out and counted. Pairs from blind votes: `workbench votes
    --export`.

    \b
      workbench eval my.bench.yaml --variant warm --repeats 8
      workbench pairs --variant warm > pairs.jsonl
      workbench pairs --scorer judge --margin 0.25 --prompt-of plain > pairs.jsonl

    \b
    Exit codes: 0 success; 2 no such run, scorer or variant, or no pair.
    """
    import msgspec

    from workbench.analysis.score_pairs import export_pairs, pair_by_score
    from workbench.runs.view import RunView

    with open_store() as store:
        view = RunView(store, run)
        if prompt_of and prompt_of not in view.variants:
            raise WorkbenchError(f"No such variant: {prompt_of}.", f"The run has: {', '.join(view.variants)}.")
        found = pair_by_score(view, scorer, variant, margin)
        left_out = (
            f"{found.equal:,} cases whose answers score alike, and {found.single:,} with fewer than two, left out"
        )
        if not found.pairs:
            raise WorkbenchError(
                f"No pairs in run {view.id}: {left_out}.",
                "Compare several variants, or ask one several times at a temperature above 0: --repeats 8.",
            )
        for record in export_pairs(view, found.pairs, prompt_of):
            terminal.write_json(msgspec.json.encode(record).decode() + "\n")
    terminal.log(f"{format_plural(len(found.pairs), 'pair')} by {view.metric(scorer).name}; {left_out}.")
