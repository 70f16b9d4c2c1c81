"""`workbench eval`: run a bench on its whole dataset, store every cell, print the results."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.cli.options import (
    Csv,
    Deterministic,
    Json,
    Limit,
    Markdown,
    Ray,
    Reports,
    Sample,
    Seed,
    StoreFile,
    Trust,
    Variants,
)
from workbench.cli.selection import BenchSelection, apply_selection, load_bench_cases, select_cases
from workbench.cli.services import Services, open_services
from workbench.cli.trust import confirm_trust
from workbench.errors import BenchError, StoreError
from workbench.units import format_plural

if TYPE_CHECKING:
    from workbench.cli.progress import ProgressLine
    from workbench.cli.results import Formats
    from workbench.runs.run import Evaluation, RunOptions
    from workbench.runs.view import RunView
    from workbench.store.runs import Run
    from workbench.store.store import Store


def main(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE.bench.yaml | RUN",
            help="Bench file (default: the one in this folder), or with --resume, --retry-failed and --rerun a run.",
        ),
    ] = "",
    variant: Variants = None,
    case: Annotated[str, typer.Option(metavar="N|N-M|N,M", help="Only these cases, by number.")] = "",
    split: Annotated[str, typer.Option(metavar="NAME", help="Split of the dataset, such as test.")] = "",
    sample: Sample = None,
    seed: Seed = None,
    limit: Limit = None,
    repeats: Annotated[int | None, typer.Option(min=1, metavar="N", help="Run each cell N times.")] = None,
    robustness: Annotated[
        bool,
        typer.Option("--robustness", help="Also run perturbed wordings of each prompt; see `perturbations` below."),
    ] = False,
    deterministic: Deterministic = False,
    concurrency: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Requests in flight per model, with --ray per node. Default: 32. Use 1 to measure latency.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", "--plan", help="Print the plan: cells, cached answers, memory, time, tokens, cost."),
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue a run. Default: the latest unfinished one; with --shard, that shard."),
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Like --resume, and retry failed cells.")
    ] = False,
    rerun: Annotated[
        bool,
        typer.Option("--rerun", help="Send one cell's request again, unchanged, and compare; needs --case, --variant."),
    ] = False,
    max_cost: Annotated[
        float | None,
        typer.Option(metavar="AMOUNT", help="Start no cell that may take the cost above this, by the models' prices."),
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Generate every answer, even if it is cached.")] = False,
    shard: Annotated[
        str,
        typer.Option(metavar="N/M", help="Run part N of M, into a store of its own; see `workbench runs merge`."),
    ] = "",
    store: StoreFile = None,
    ray: Ray = "",
    name: Annotated[str, typer.Option(metavar="NAME", help="Name of the run. Default: the bench's name.")] = "",
    note: Annotated[str, typer.Option(metavar="TEXT", help="A note to store with the run.")] = "",
    trust: Trust = False,
    json: Json = False,
    csv: Csv = False,
    markdown: Markdown = False,
    report: Reports = None,
) -> None:
    """Run every variant of a bench on its whole dataset.

    Results go to stdout, progress to stderr. Every finished cell is stored at once, so a run that was stopped or killed
    can be resumed. Cached answers are reused.
    If the bench has Python scorers or tools of its own, you are asked before they run; in CI, pass --trust. You are
    asked again when one of them, or anything it imports, has changed.

    \b
      workbench eval prompts/demo.bench.yaml
      workbench eval prompts/demo.bench.yaml --limit 20 --variant plain
      workbench eval prompts/demo.bench.yaml --sample 200 --seed 1 --concurrency 8
      workbench eval prompts/demo.bench.yaml --dry-run
      workbench eval prompts/demo.bench.yaml --json > results.json
      workbench eval prompts/demo.bench.yaml --report report.html
      workbench eval prompts/demo.bench.yaml --max-cost 0.50
      workbench eval --resume
      workbench eval prompts/demo.bench.yaml --shard 3/8 --store shard-3.sqlite
      workbench eval prompts/demo.bench.yaml --ray head-node:6379
      workbench eval --retry-failed 1ieuo0
      workbench eval --rerun last --case 7 --variant plain

    \b
    Keys of a bench that only this command uses:
      repeats: 3
      thresholds: {exact_match: {min: 0.9, variant: few-shot}}
      prices: {desk-q8_0: {hour: 1.20}, other: {input: 0.50, output: 1.50}}
      perturbations: [whitespace, casing, order]

    \b
    Exit codes: 0 success; 1 a threshold was missed, cells failed, a scorer failed
    on more than 5% of the answers, lost one or applies to none, --max-cost was
    reached, or (--rerun) the answer differs; 2 the bench cannot be used, or its scorers are not trusted;
    130 interrupted.
    """
    from workbench.cli.cluster import begin, open_cluster_pool
    from workbench.cli.progress import ProgressLine
    from workbench.cli.results import Formats
    from workbench.cli.shard_store import default_store, has_runs
    from workbench.runs.run import RunOptions
    from workbench.runs.shard import parse_shard

    formats = Formats(json, csv, markdown, tuple(report or ()))
    formats.check()
    selection = BenchSelection(variant or [], case, split, sample, seed, limit, repeats, robustness, deterministic)
    part = parse_shard(shard) if shard else None
    line = ProgressLine()
    with contextlib.ExitStack() as stack:
        services = stack.enter_context(open_services(store or (default_store(file, part) if part else None)))
        cluster = stack.enter_context(open_cluster_pool(services, ray, concurrency or 0, line.note)) if ray else None
        services = services._replace(pool=cluster or services.pool)
        if rerun:
            raise typer.Exit(_rerun(file, selection, services))
        options = RunOptions(
            strategy=services.settings.context_strategy,
            concurrency=concurrency or 0,
            cache=not no_cache,
            unload=True,
            retry_failed=retry_failed,
            name=name,
            note=note,
            shard=part,
            max_cost=max_cost,
        )
        make = _resume if (resume or retry_failed) and (not part or has_runs(services.store)) else _start
        evaluation = make(file, selection, options, services, trust)
        if dry_run:
            _log_plan(evaluation)
            return
        if cluster:
            begin(cluster, evaluation)
        whole = run_to_end(evaluation, line)
        if cluster and cluster.resent:
            terminal.log(f"{cluster.resent:,} requests were answered by another node, since theirs was lost.")
        code = conclude(evaluation.run, services.store, formats)
        raise typer.Exit(code if whole else terminal.FAILED)


def _start(file: str, selection: BenchSelection, options: RunOptions, services: Services, trusted: bool) -> Evaluation:
    import msgspec

    from workbench.runs.bench import load_bench
    from workbench.runs.opening import choose_bench
    from workbench.runs.perturbations import add_perturbations
    from workbench.runs.run import DEFAULT_OPTIONS, Evaluation
    from workbench.runs.sources import find_sources
    from workbench.runs.tool_file import list_code

    path = Path(file) if file else choose_bench(Path.cwd())
    bench = apply_selection(load_bench(path), selection)
    confirm_trust(list_code(bench), path.absolute().parent, trusted)
    cases = select_cases(load_bench_cases(bench, path), selection.cases)
    strategy = bench.context_strategy or options.strategy
    sources = find_sources(bench, path.absolute().parent, services.settings)
    if selection.robustness:
        bench = add_perturbations(bench, sources.open_prompt)
    options = msgspec.structs.replace(
        options, strategy=strategy, concurrency=options.concurrency or DEFAULT_OPTIONS.concurrency
    )
    return Evaluation(bench, path, cases, services.pool, sources, services.store, options)


def _resume(
    wanted: str, selection: BenchSelection, options: RunOptions, services: Services, trusted: bool
) -> Evaluation:
    from workbench.cli.shard_store import find_shard_run
    from workbench.runs.bench import parse_stored_bench
    from workbench.runs.run import Evaluation
    from workbench.runs.sources import find_sources
    from workbench.runs.tool_file import list_code

    if not options.shard and selection._replace(variants=tuple(selection.variants)) != BenchSelection():
        raise BenchError(
            "A resumed run keeps its selection: --variant, --case, --split, --sample, --seed, --limit, --repeats,"
            " --robustness and --deterministic only apply to a new run.",
            "Leave them out.",
        )
    shard = options.shard
    run = (
        find_shard_run(services.store, shard, wanted, selection)
        if shard
        else _find_unfinished(wanted, options.retry_failed, services.store)
    )
    bench = parse_stored_bench(run.text, f"the bench of run {run.id}")
    confirm_trust(list_code(bench), Path(run.folder), trusted)
    sources = find_sources(bench, Path(run.folder), services.settings)
    return Evaluation.resume(run.id, services.pool, sources, services.store, options)


def _find_unfinished(wanted: str, retry_failed: bool, store: Store) -> Run:
    """The run to resume: the named one, else the latest with something left to do."""
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
        raise StoreError("All runs are finished.", "`workbench runs` lists them; name one to retry its failed cells.")
    return open_ones[0]


def _log_plan(evaluation: Evaluation) -> None:
    from workbench.cli.progress import describe_plan

    for line in describe_plan(evaluation.plan()):
        terminal.log(line)


def run_to_end(evaluation: Evaluation, line: ProgressLine | None = None) -> bool:
    """Carry a run out and show how far it is; whether all its cells are finished."""
    from workbench.cli.progress import ProgressLine, describe_limit
    from workbench.runs.progress import RunFinished, RunProgress

    _log_plan(evaluation)
    line = line or ProgressLine()
    last: RunProgress | None = None
    end: RunFinished | None = None
    try:
        for event in evaluation.events():
            if isinstance(event, RunProgress):
                last = event
                line.show(event)
            elif isinstance(event, RunFinished):
                end = event
    except BaseException as error:
        line.end()
        if evaluation.run:
            stored = f" {last.done:,} of {last.total:,} cells are stored." if last else ""
            stopped = "Stopped." if isinstance(error, KeyboardInterrupt) else "The run ended early."
            terminal.log(f"{stopped}{stored} Continue with: workbench eval --resume {evaluation.run}")
        raise
    if last:
        line.show(last, last=True)
    line.end()
    if end and end.limit_reached:
        terminal.log(describe_limit(end, evaluation.unfinished()))
    return end is not None and end.finished


def conclude(run: str, store: Store, formats: Formats) -> int:
    """Show the results; the exit code."""
    from workbench.analysis.summary import summarize
    from workbench.analysis.thresholds import find_misses
    from workbench.cli.results import log_failures, report
    from workbench.runs.view import RunView

    view = RunView(store, run)
    summary = summarize(view)
    report(view, summary, formats)
    misses = find_misses(view.bench, summary)
    for miss in misses:
        terminal.log(f"Threshold missed: {miss}" if miss.measured else f"Threshold: {miss}")
    failed = view.run.failed
    if failed:
        count = format_plural(failed, "cell")
        terminal.log(f"{count} failed. Retry with: workbench eval --retry-failed {run}")
        log_failures(view, store)
    unscored = log_unscored(run, view, store)
    return terminal.FAILED if any(miss.measured for miss in misses) or failed or unscored else terminal.OK


def log_unscored(run: str, view: RunView, store: Store) -> bool:
    """Log the scorers that gave no score where they should have; whether that makes the command fail."""
    from workbench.scoring.unscored import ScorerOutcome, describe_outcome
    from workbench.store.cells import tally_scorers

    names = [metric.name for metric in view.metrics]
    found = [
        ScorerOutcome(names[one.metric], one.scores, one.applied, one.error, one.lost, one.reason)
        for one in tally_scorers(store, view.run.key)
    ]
    for outcome in found:
        if outcome.is_reported:
            terminal.log(describe_outcome(outcome))
    if any(outcome.error or outcome.lost for outcome in found):
        terminal.log(f"Score these answers again with: workbench eval --resume {run}")
    return any(outcome.fails or outcome.idle for outcome in found)


def _rerun(wanted: str, selection: BenchSelection, services: Services) -> int:
    """Send one request again and compare the answers; the exit code."""
    from workbench.runs.rerun import rerun_cell
    from workbench.runs.view import RunView

    view = RunView(services.store, wanted or "last")
    names = selection.variants or (view.variants if len(view.variants) == 1 else ())
    if len(names) != 1 or not selection.cases.isdigit():
        raise BenchError(
            "--rerun repeats one cell: expected a case and a variant.",
            f"workbench eval --rerun {view.id} --case 1 --variant {view.variants[0]!r}",
        )
    done = rerun_cell(view, names[0], int(selection.cases), 0, services.pool)
    terminal.write_data(done.now.text + "\n")
    if done.engines[0] != done.engines[1]:
        terminal.log(f"It was {done.engines[0]} that answered then, and {done.engines[1]} now.")
    terminal.log(
        "The same answer as then." if done.same else f"Another answer. Then it was:\n{done.before.completion.text}"
    )
    return terminal.OK if done.same else terminal.FAILED
