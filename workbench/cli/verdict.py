"""`workbench verdict`: whether an adapter was worth its training, on a held-out split, in numbers and in words.

Knows nothing of how that is found out (training/contest.py) or laid out (training/verdict_report.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.cli.consent import TRUST, settle_trust
from workbench.cli.tools import open_tools

if TYPE_CHECKING:
    from workbench.training.contest import Wanted
    from workbench.training.verdict import Verdict


def main(
    bench: Annotated[Path | None, typer.Argument(metavar="[FILE.bench.yaml]", help="The comparison.")] = None,
    adapter: Annotated[str, typer.Option(metavar="NAME", help="Which; else the bench's, else the newest.")] = "",
    at_once: Annotated[int, typer.Option(min=1, metavar="N", help="Requests side by side.")] = 4,
    limit: Annotated[int, typer.Option(min=0, metavar="N", help="Only the first N cases of each split.")] = 0,
    curve: Annotated[
        str, typer.Option(metavar="N,N,…", help="Also train on so many rows each (such as 10,25,50,100).")
    ] = "",
    price_input: Annotated[float, typer.Option(min=0, metavar="MONEY", help="For a million tokens read.")] = 0.0,
    price_output: Annotated[float, typer.Option(min=0, metavar="MONEY", help="For a million tokens written.")] = 0.0,
    price_hour: Annotated[float, typer.Option(min=0, metavar="MONEY", help="For an hour of the machine.")] = 0.0,
    trust: Annotated[bool, TRUST] = False,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON instead of Markdown.")] = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with charts as well.")] = None,
    markdown: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the Markdown as well.")] = None,
) -> None:
    """Weigh an adapter against the best prompt.

    The best prompt is chosen on the validation split; then zero-shot, few-shot, the best prompt, the adapter with the
    short prompt and the adapter with examples answer the test split, each question once; latencies are measured on 20
    of its cases again, one answer at a time. Prices come from the bench,
    or from the options here, which then hold for every model. Python files that the bench names as scorers run only
    where you trust them.

    \b
      workbench verdict prompts/demo.bench.yaml --adapter demo-plain
      workbench verdict prompts/demo.bench.yaml --html verdict.html
      workbench verdict prompts/demo.bench.yaml --curve 10,25,50,100
      workbench verdict prompts/demo.bench.yaml --price-hour 1.20

    \b
    Exit codes: 0 there is a verdict; 2 there is nothing to compare; 130
    interrupted.
    """
    from workbench.evaluation.bench import load_bench
    from workbench.evaluation.cost import Price
    from workbench.evaluation.opening import choose_bench
    from workbench.training.contest import Wanted
    from workbench.training.curve import read_counts
    from workbench.training.verdict_report import render_json, render_markdown, write_html

    counts = read_counts(curve)
    price = Price(price_input, price_output, price_hour)
    path = bench or choose_bench(Path.cwd())
    settle_trust(load_bench(path).scorers, path.absolute().parent, trust)
    wanted = Wanted(path, adapter, at_once, limit, price=price if price != Price() else None)
    verdict = _judge(wanted, counts)
    if json:
        terminal.write_json(render_json(verdict))
    else:
        terminal.write(render_markdown(verdict))
    if html:
        write_html(verdict, html)
    if markdown:
        from workbench import files

        files.write_text(markdown, render_markdown(verdict))


def _judge(wanted: Wanted, counts: tuple[int, ...]) -> Verdict:
    from workbench.cli.progress import ProgressLine
    from workbench.evaluation.progress import RunEvent, RunFinished, RunProgress
    from workbench.training.contest import Contest, StageBegan
    from workbench.training.curve import train_on_fewer

    line = ProgressLine()
    last: list[RunProgress] = []

    def tell(event: RunEvent | StageBegan) -> None:
        if isinstance(event, RunProgress):
            last[:] = [event]
            line.show(event)
        elif isinstance(event, RunFinished):
            if last:
                line.show(last[0], last=True)
            line.end()

    with open_tools() as tools:
        contest = Contest(wanted, *tools, tell)
        if counts:
            contest.check_curve()
            made = train_on_fewer(contest.manifest, counts, terminal.say)
            contest = Contest(wanted._replace(curve=made), *tools, tell)
        return contest.judge()
