"""`workbench eval`: a bench on its whole dataset, into the store, and what came of it.

Knows nothing of how cells are run (evaluation/run.py) or how results are laid out (results.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.cli.consent import TRUST, settle_trust
from workbench.cli.part import Part, choose_cases, choose_part, load_bench_cases
from workbench.cli.tools import Tools, open_tools
from workbench.errors import BenchError, StoreError

if TYPE_CHECKING:
    from workbench.cli.results import Formats
    from workbench.evaluation.run import Evaluation, Options
    from workbench.evaluation.view import RunView
    from workbench.store.runs import Run
    from workbench.store.store import Store


def main(
    file: Annotated[
        str,
        typer.Argument(
            metavar="[FILE.bench.yaml | RUN]",
            help="The bench, else the one of this folder; with --resume, --retry-failed and --again a run.",
        ),
    ] = "",
    variant: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this variant; may be given several times.")
    ] = None,
    case: Annotated[str, typer.Option(metavar="N|N-M|N,M", help="Only these cases, by their numbers.")] = "",
    split: Annotated[str, typer.Option(metavar="NAME", help="Which part of the dataset, such as test.")] = "",
    sample: Annotated[int | None, typer.Option(min=1, metavar="N", help="So many cases, drawn by a seed.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first so many cases.")] = None,
    repeats: Annotated[int | None, typer.Option(min=1, metavar="N", help="How often each cell is run.")] = None,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Also say each prompt a little differently; see `perturbations`.")
    ] = False,
    reproducible: Annotated[
        bool, typer.Option("--reproducible", help="Compute each answer by itself: slower, the same from run to run.")
    ] = False,
    name: Annotated[str, typer.Option(metavar="NAME", help="What the run is called; else as its bench.")] = "",
    note: Annotated[str, typer.Option(metavar="TEXT", help="A word of your own, kept with the run.")] = "",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run, the last unfinished one if none is named.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="The same, and run its failed cells again.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Ask one cell of a run exactly as it was asked; see --case, --variant.")
    ] = False,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Ask every cell anew, also where the answer is known.")
    ] = False,
    trust: Annotated[bool, TRUST] = False,
    at_once: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Cells in flight on one model, else 32; 1: true latencies.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Say what would be done, and do nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print every cell as CSV.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the results as Markdown.")] = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a report with charts, in one file.")] = None,
    parquet: Annotated[Path | None, typer.Option(metavar="FILE", help="Write every cell as Parquet.")] = None,
) -> None:
    """Run every variant of a bench on its whole dataset.

    Results go to stdout, progress to stderr. Each finished cell is kept at once: a run that was stopped, or killed,
    goes on where it was. Answers that are known already are not asked for again.
    Python files that the bench names as scorers run only where you trust them: on a terminal you are asked, elsewhere
    --trust says so. Any change to them, or to what they import, asks again.

    \b
      workbench eval prompts/demo.bench.yaml
      workbench eval prompts/demo.bench.yaml --limit 20 --variant plain
      workbench eval prompts/demo.bench.yaml --json > results.json
      workbench eval prompts/demo.bench.yaml --html report.html
      workbench eval prompts/demo.bench.yaml --robustness
      workbench eval --resume
      workbench eval --retry-failed 1ieuo0
      workbench eval --again last --case 7 --variant plain

    \b
    A bench may hold more that this command goes by:
      repeats: 3
      thresholds: {exact_match: {min: 0.9, variant: few-shot}}
      prices: {desk-q8_0: {hour: 1.20}, other: {input: 0.50, output: 1.50}}
      perturbations: [whitespace, casing, order]

    \b
    Exit codes: 0 all went well; 1 a threshold of the bench was missed, some
    cells failed, a scorer failed on more than 5% of the answers, lost one or
    applies to none, or (--again) the answer is another one; 2 the bench cannot
    be used, or its code is not trusted; 130 interrupted.
    """
    from workbench.cli.results import Formats
    from workbench.evaluation.run import Options

    formats = Formats(json, csv, markdown, html, parquet)
    formats.check()
    part = Part(variant or [], case, split, sample, limit, repeats, robustness, reproducible)
    with open_tools() as tools:
        if again:
            raise typer.Exit(_ask_again(file, part, tools))
        options = Options(
            strategy=tools.settings.context_strategy,
            at_once=at_once or 0,
            cache=not no_cache,
            unload=True,
            retry_failed=retry_failed,
            name=name,
            note=note,
        )
        make = _go_on if resume or retry_failed else _begin
        evaluation = make(file, part, options, tools, trust)
        if plan:
            _say_plan(evaluation)
            return
        carry_out(evaluation)
        raise typer.Exit(_conclude(evaluation.run, tools.store, formats))


def _begin(file: str, part: Part, options: Options, tools: Tools, trusted: bool) -> Evaluation:
    import msgspec

    from workbench.evaluation.bench import load_bench
    from workbench.evaluation.opening import choose_bench
    from workbench.evaluation.perturbations import spread_out
    from workbench.evaluation.run import USUAL, Evaluation
    from workbench.evaluation.sources import find_sources

    path = Path(file) if file else choose_bench(Path.cwd())
    bench = choose_part(load_bench(path), part)
    settle_trust(bench.scorers, path.absolute().parent, trusted)
    cases = choose_cases(load_bench_cases(bench, path), part.cases)
    strategy = bench.context_strategy or options.strategy
    sources = find_sources(bench, path.absolute().parent, tools.settings)
    if part.robustness:
        bench = spread_out(bench, sources.open_prompt)
    options = msgspec.structs.replace(options, strategy=strategy, at_once=options.at_once or USUAL.at_once)
    return Evaluation(bench, path, cases, tools.pool, sources, tools.store, options)


def _go_on(wanted: str, part: Part, options: Options, tools: Tools, trusted: bool) -> Evaluation:
    from workbench.evaluation.bench import parse_stored_bench
    from workbench.evaluation.run import Evaluation
    from workbench.evaluation.sources import find_sources

    if part._replace(variants=tuple(part.variants)) != Part():
        raise BenchError(
            "A run is gone on with as it was begun: --variant, --case, --split, --sample, --limit, --repeats,"
            " --robustness and --reproducible belong to a new one.",
            "Leave them out.",
        )
    run = _find_unfinished(wanted, options.retry_failed, tools.store)
    bench = parse_stored_bench(run.text, f"the bench of run {run.id}")
    settle_trust(bench.scorers, Path(run.folder), trusted)
    sources = find_sources(bench, Path(run.folder), tools.settings)
    return Evaluation.resume(run.id, tools.pool, sources, tools.store, options)


def _find_unfinished(wanted: str, retry_failed: bool, store: Store) -> Run:
    """The run that a person means to go on with."""
    from workbench.store.cells import has_unscored
    from workbench.store.runs import find_run, list_runs

    if wanted and not Path(wanted).is_file():
        return find_run(store, wanted)
    runs = list_runs(store)
    if wanted:
        name = Path(wanted).name.removesuffix(".bench.yaml")
        runs = [run for run in runs if run.bench == name]
    open_ones = [run for run in runs if run.state != "finished" or (retry_failed and run.failed)]
    open_ones = open_ones or [run for run in runs if has_unscored(store, run.key)]
    if not open_ones:
        raise StoreError(
            "Every run is finished.", "`workbench runs` lists them; name one to run its failed cells again."
        )
    return open_ones[0]


def _say_plan(evaluation: Evaluation) -> None:
    from workbench.cli.progress import describe_plan

    for line in describe_plan(evaluation.plan()):
        terminal.say(line)


def carry_out(evaluation: Evaluation) -> None:
    from workbench.cli.progress import ProgressLine
    from workbench.evaluation.progress import RunProgress

    _say_plan(evaluation)
    line = ProgressLine()
    told: RunProgress | None = None
    try:
        for event in evaluation.events():
            if isinstance(event, RunProgress):
                told = event
                line.show(event)
    except BaseException as error:
        line.end()
        if evaluation.run:
            kept = f" {told.done:,} of {told.total:,} cells are kept." if told else ""
            stopped = "Stopped." if isinstance(error, KeyboardInterrupt) else "The run ended early."
            terminal.say(f"{stopped}{kept} Go on with: workbench eval --resume {evaluation.run}")
        raise
    if told:
        line.show(told, last=True)
    line.end()


def _conclude(run: str, store: Store, formats: Formats) -> int:
    """Show the results; the exit code."""
    from workbench.cli.results import report
    from workbench.evaluation.summary import summarize
    from workbench.evaluation.thresholds import find_misses
    from workbench.evaluation.view import RunView

    view = RunView(store, run)
    summary = summarize(view)
    report(view, summary, formats)
    misses = find_misses(view.bench, summary)
    for miss in misses:
        terminal.say(f"Missed: {miss}" if miss.measured else f"Threshold: {miss}")
    failed = view.run.failed
    if failed:
        terminal.say(f"{failed:,} cells failed. Run them again with: workbench eval --retry-failed {run}")
    unscored = say_unscored(run, view, store)
    return terminal.FAILED if any(miss.measured for miss in misses) or failed or unscored else terminal.OK


def say_unscored(run: str, view: RunView, store: Store) -> bool:
    """Tell of scorers that gave no score where they should have; whether that makes the command fail."""
    from workbench.evaluation.unscored import ScorerOutcome, tell_outcome
    from workbench.store.cells import tally_scorers

    names = [metric.name for metric in view.metrics]
    found = [
        ScorerOutcome(names[one.metric], one.scores, one.applied, one.error, one.lost, one.reason)
        for one in tally_scorers(store, view.run.key)
    ]
    for outcome in found:
        if outcome.is_told:
            terminal.say(tell_outcome(outcome))
    if any(outcome.error or outcome.lost for outcome in found):
        terminal.say(f"Score those answers again with: workbench eval --resume {run}")
    return any(outcome.fails or outcome.idle for outcome in found)


def _ask_again(wanted: str, part: Part, tools: Tools) -> int:
    """Say whether the answer is the same as then; the exit code."""
    from workbench.evaluation.again import run_again
    from workbench.evaluation.view import RunView

    view = RunView(tools.store, wanted or "last")
    names = part.variants or (view.variants if len(view.variants) == 1 else ())
    if len(names) != 1 or not part.cases.isdigit():
        raise BenchError(
            "One cell is asked again: name its case and its variant.",
            f"workbench eval --again {view.id} --case 1 --variant {view.variants[0]!r}",
        )
    done = run_again(view, names[0], int(part.cases), 0, tools.pool)
    terminal.write_data(done.now.text + "\n")
    if done.engines[0] != done.engines[1]:
        terminal.say(f"It was {done.engines[0]} that answered then, and {done.engines[1]} now.")
    terminal.say(
        "The same answer as then." if done.same else f"Another answer. Then it was:\n{done.before.completion.text}"
    )
    return terminal.OK if done.same else terminal.FAILED
