"""`workbench gate`: fail a build when scores fall below a committed baseline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.cli.options import BenchFile, Json, Limit, Metric, Trust, Variants
from workbench.errors import BenchError
from workbench.units import format_plural

if TYPE_CHECKING:
    from workbench.analysis.gate import Gate
    from workbench.cli.services import Services
    from workbench.runs.bench import Bench
    from workbench.runs.view import RunView

NOT_ENOUGH = 3
REPEATS = 3


def main(
    file: BenchFile = None,
    baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Scores to hold the run against. Default: beside the bench.")
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(metavar="X", help="Largest loss that still passes, in the metric's unit. Default: 0.02."),
    ] = None,
    write_baseline: Annotated[
        bool, typer.Option("--write-baseline", help="Write the scores as the new baseline; compares nothing.")
    ] = False,
    run: Annotated[
        str, typer.Option("--run", metavar="RUN", help="Use this finished run instead of running the bench.")
    ] = "",
    metric: Metric = "",
    variant: Variants = None,
    limit: Limit = None,
    repeats: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Run each cell N times; a case counts once.")
    ] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write JUnit XML.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write Markdown, for a comment on a pull request.")
    ] = None,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Hold a bench against a committed baseline, in CI.

    Runs the bench and compares each variant with its own scores in the baseline, case by case. To pass, a variant must
    be shown to lose no more than the margin (95%, one-sided 2.5%); that nothing was found is not enough. A bench that
    samples at a temperature above 0 is run three times, unless it has `repeats`.

    \b
      workbench gate my.bench.yaml --write-baseline     once; then commit my.baseline.jsonl
      workbench gate my.bench.yaml --margin 0.02
      workbench gate my.bench.yaml --junit gate.xml --markdown comment.md
      workbench gate my.bench.yaml --run last

    \b
    Exit codes: 0 every variant is better or not worse; 1 one is worse, lacks
    scores, or had answers cut off; 2 the bench or the baseline cannot be used; 3 too few
    cases to tell; 130 interrupted.
    """
    from workbench.analysis.score_baseline import SUFFIX, count_unscored, make_baseline, read_baseline
    from workbench.analysis.score_baseline import write_baseline as write
    from workbench.cli.services import open_services
    from workbench.runs.opening import choose_bench

    if margin is not None and not margin > 0:
        raise BenchError(f"--margin: expected a number above 0, found {margin:g}.", "0.02 allows a loss of 2 points.")
    bench = file or choose_bench(Path.cwd())
    path = baseline or bench.with_name(bench.name.removesuffix(".bench.yaml") + SUFFIX)
    committed = None if write_baseline else read_baseline(path)
    with open_services() as services:
        view = _open_run(run, bench, services) if run else _run(bench, variant, limit, repeats, trust, services)
        if committed is None:
            made = make_baseline(view)
            write(path, made)
            terminal.log(
                f"Wrote {path}: {format_plural(len(made.cases), 'case')} of run {view.id}. Commit it beside the bench."
            )
            if lacking := count_unscored(made):
                terminal.log(
                    f"Answers without a score, which the gate does not watch: {lacking:,}."
                    "\nRetry them, and write it again:"
                    f"\n  workbench eval --retry-failed {view.id}"
                    f"\n  workbench gate {bench} --run {view.id} --write-baseline"
                )
            return
        from workbench.analysis.gate import check_gate

        gate = check_gate(view, committed, _choose_margin(margin, view, metric), metric, variant or ())
    _write(gate, junit, markdown)
    _show(gate, json)
    raise typer.Exit(terminal.OK if gate.passed else NOT_ENOUGH if gate.undecided else terminal.FAILED)


def _choose_margin(margin: float | None, view: RunView, metric: str) -> float:
    chosen = view.metric(metric)
    if margin is None and chosen.free:
        raise BenchError(
            f"{chosen.name} is not a score between 0 and 1, so there is no usual margin.",
            "Pass --margin in its unit.",
        )
    return 0.02 if margin is None else margin


def _open_run(run: str, bench: Path, services: Services) -> RunView:
    from workbench.runs.view import RunView

    view = RunView(services.store, run)
    own = bench.name.removesuffix(".bench.yaml")
    if view.run.bench != own:
        raise BenchError(f"Run {view.id} is one of {view.run.bench}, not of {own}.", "`workbench runs` lists them.")
    if view.state != "finished":
        raise BenchError(f"Run {view.id} is not finished.", f"Finish it: workbench eval --resume {view.id}")
    return view


def _run(
    path: Path, variants: list[str] | None, limit: int | None, repeats: int | None, trust: bool, services: Services
) -> RunView:
    from workbench.cli.eval import log_unscored, run_to_end
    from workbench.cli.selection import BenchSelection, apply_selection, load_bench_cases
    from workbench.cli.trust import confirm_trust
    from workbench.runs.bench import load_bench
    from workbench.runs.run import Evaluation, RunOptions
    from workbench.runs.sources import find_sources
    from workbench.runs.tool_file import list_code
    from workbench.runs.view import RunView

    loaded = load_bench(path)
    bench = apply_selection(
        loaded, BenchSelection(variants or [], limit=limit, repeats=_choose_repeats(loaded, repeats))
    )
    confirm_trust(list_code(bench), path.absolute().parent, trust)
    strategy = bench.context_strategy or services.settings.context_strategy
    evaluation = Evaluation(
        bench,
        path,
        load_bench_cases(bench, path),
        services.pool,
        find_sources(bench, path.absolute().parent, services.settings),
        services.store,
        RunOptions(strategy=strategy, unload=True, note="gate"),
    )
    run_to_end(evaluation)
    view = RunView(services.store, evaluation.run)
    log_unscored(view.id, view, services.store)
    return view


def _choose_repeats(bench: Bench, repeats: int | None) -> int | None:
    """As asked; three where chance is in the answers and the bench says nothing."""
    if repeats or bench.repeats > 1 or not any(one.sampling.temperature > 0 for one in bench.variants):
        return repeats
    terminal.log(f"Some variants sample at a temperature above 0: each cell is run {REPEATS} times.")
    return REPEATS


def _write(gate: Gate, junit: Path | None, markdown: Path | None) -> None:
    from workbench import files
    from workbench.reports.gate import render_gate, render_gate_junit

    for path, render in ((junit, render_gate_junit), (markdown, render_gate)):
        if path:
            files.write_text(path, render(gate))
            terminal.log(f"Wrote {path}.")


def _show(gate: Gate, json: bool) -> None:
    from workbench.reports.gate import HEAD, describe_gate, list_notes, list_row

    if json:
        from workbench.reports.json import encode

        terminal.write_json(encode(gate))
        return
    from workbench.cli.table import console, make_table, show

    table = make_table(HEAD, right=HEAD[2:])
    for one in gate.results:
        table.add_row(*map(show, list_row(one)))
    out = console()
    out.print(table)
    for one in gate.results:
        out.print(show(f"{one.variant}: {one.reason}"))
    for line in (*list_notes(gate), describe_gate(gate)):
        out.print(show(line))
