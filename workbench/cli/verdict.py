"""`workbench verdict`: whether an adapter or an optimized prompt beats a hand-written prompt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.cli.options import BenchFile, PageReports, Trust
from workbench.cli.services import open_services
from workbench.cli.trust import confirm_trust

if TYPE_CHECKING:
    from workbench.training.contenders import VerdictRequest
    from workbench.training.verdict import Verdict


def main(
    bench: BenchFile = None,
    adapter: Annotated[
        str, typer.Option(metavar="NAME", help="The adapter, by name or path. Default: the bench's, else the newest.")
    ] = "",
    optimized: Annotated[
        str,
        typer.Option(
            metavar="PROMPT", help="The optimized prompt, by name. Default: the bench's, else the newest search's."
        ),
    ] = "",
    without: Annotated[
        str,
        typer.Option(metavar="NAME,…", help="What is not compared: few-shot, optimized, adapter, hybrid."),
    ] = "",
    concurrency: Annotated[int, typer.Option(min=1, metavar="N", help="Requests in flight.")] = 4,
    limit: Annotated[int, typer.Option(min=0, metavar="N", help="Only the first N cases of each split.")] = 0,
    curve: Annotated[
        str,
        typer.Option(metavar="N,N,…", help="Also train on N rows each, for a learning curve, such as 10,25,50,100."),
    ] = "",
    price_input: Annotated[float, typer.Option(min=0, metavar="MONEY", help="Per million prompt tokens.")] = 0.0,
    price_output: Annotated[float, typer.Option(min=0, metavar="MONEY", help="Per million completion tokens.")] = 0.0,
    price_hour: Annotated[float, typer.Option(min=0, metavar="MONEY", help="Per hour of machine time.")] = 0.0,
    trust: Trust = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of Markdown.")] = False,
    report: PageReports = None,
) -> None:
    """Compare adapters and optimized prompts with the best prompt.

    The best hand-written prompt is chosen on the validation split; then zero-shot, few-shot, the best prompt, the
    optimized one, and the adapter with the short prompt, with examples and on the optimized prompt answer the test
    split, each case once. What search and training cost to make is set against what a request saves. Latency is
    measured on 20 of the cases again, one request at a time. Prices come from the bench, or from the options here,
    which then apply to every model. If the bench has Python scorers of its own, you are asked before they run.

    \b
      workbench verdict prompts/demo.bench.yaml --adapter demo-plain
      workbench verdict prompts/demo.bench.yaml --report verdict.html
      workbench verdict prompts/demo.bench.yaml --without adapter
      workbench verdict prompts/demo.bench.yaml --curve 10,25,50,100
      workbench verdict prompts/demo.bench.yaml --price-hour 1.20

    \b
    Exit codes: 0 there is a verdict; 2 there is nothing to compare; 130
    interrupted.
    """
    from workbench.runs.bench import load_bench
    from workbench.runs.cost import Price
    from workbench.runs.opening import choose_bench
    from workbench.training.contenders import VerdictRequest
    from workbench.training.learning_curve import parse_counts
    from workbench.training.verdict import parse_contenders
    from workbench.training.verdict_report import find_verdict_format, render_json, render_markdown, write_verdict

    for file in report or ():
        find_verdict_format(file)  # before anything runs
    counts = parse_counts(curve)
    price = Price(price_input, price_output, price_hour)
    path = bench or choose_bench(Path.cwd())
    confirm_trust(load_bench(path).scorers, path.absolute().parent, trust)
    wanted = VerdictRequest(
        path,
        adapter,
        concurrency,
        limit,
        price=price if price != Price() else None,
        optimized=optimized,
        without=parse_contenders(without),
    )
    verdict = _judge(wanted, counts)
    if json:
        terminal.write_json(render_json(verdict))
    else:
        terminal.write(render_markdown(verdict))
    for file in report or ():
        write_verdict(verdict, file)


def _judge(wanted: VerdictRequest, counts: tuple[int, ...]) -> Verdict:
    from workbench.cli.progress import ProgressLine
    from workbench.runs.progress import RunEvent, RunFinished, RunProgress
    from workbench.training.learning_curve import train_on_subsets
    from workbench.training.verdict_run import StageStarted, VerdictRun

    line = ProgressLine()
    last: list[RunProgress] = []

    def on_event(event: RunEvent | StageStarted) -> None:
        if isinstance(event, RunProgress):
            last[:] = [event]
            line.show(event)
        elif isinstance(event, RunFinished):
            if last:
                line.show(last[0], last=True)
            line.end()

    with open_services() as services:
        verdict_run = VerdictRun(wanted, *services, on_event)
        if counts:
            verdict_run.check_curve()
            made = train_on_subsets(verdict_run.manifest, counts, terminal.log)
            verdict_run = VerdictRun(wanted._replace(curve=made), *services, on_event)
        return verdict_run.judge()
