"""`workbench compare`: a bench carried out and shown as a table, or as JSON.

Knows nothing of how cells are run (evaluation/run.py) or drawn (table.py).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.cli.consent import TRUST, settle_trust
from workbench.errors import BenchError

if TYPE_CHECKING:
    from workbench.evaluation.bench import Bench, Variant
    from workbench.evaluation.cell import Cell
    from workbench.evaluation.datasets import Case, Cases


def main(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE.bench.yaml", help="The comparison; else the one of this folder.")
    ] = None,
    case: Annotated[str, typer.Option(metavar="N|N-M|all", help="Which cases; else the one the bench stands on.")] = "",
    variant: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this variant; may be given several times.")
    ] = None,
    reproducible: Annotated[
        bool, typer.Option("--reproducible", help="Compute each answer by itself: slower, the same from run to run.")
    ] = False,
    trust: Annotated[bool, TRUST] = False,
    json: Annotated[bool, typer.Option("--json", help="Print every cell as JSON instead of a table.")] = False,
) -> None:
    """Run a comparison without the screen.

    The table goes to stdout, progress to stderr. Python files that the bench
    names as scorers run only where you trust them: on a terminal you are asked,
    elsewhere --trust says so. Any change to them, or to what they import, asks
    again.

    \b
      workbench compare prompts/demo.bench.yaml
      workbench compare prompts/demo.bench.yaml --case 1-20 --variant plain
      workbench compare prompts/demo.bench.yaml --case all --json > cells.json

    \b
    Exit codes: 0 every cell has an answer; 1 some have an error instead, or a
    scorer failed on more than 5% of the answers, lost one or applies to none;
    2 the bench cannot be used, or its code is not trusted; 130 interrupted.
    """

    from workbench.evaluation.bench import load_bench, with_variants
    from workbench.evaluation.opening import choose_bench

    file = file or choose_bench(Path.cwd())
    bench = load_bench(file)
    settle_trust(bench.scorers, file.absolute().parent, trust)
    bench = with_variants(bench, _choose_variants(bench, variant or []))
    cells = _run(bench, file, _choose_cases(bench, _load_cases(bench, file), case), reproducible)
    if json:
        from workbench.cli.report import encode_cells

        terminal.write_json(encode_cells(cells))
    else:
        from workbench.cli.table import print_cells

        print_cells(cells)
    unscored = _say_unscored(cells, needed=bench.dataset is not None)
    raise typer.Exit(terminal.FAILED if unscored or any(cell.error for cell in cells) else terminal.OK)


def _say_unscored(cells: list[Cell], needed: bool) -> bool:
    """Tell of scorers that gave no score where they should have; whether that makes the command fail.

    needed: a scorer without anything to judge is a failure too; what a person types has no expected answer.
    """
    from workbench.evaluation.unscored import count_outcomes, tell_outcome

    found = count_outcomes(score for cell in cells for score in cell.scores)
    for outcome in found:
        if outcome.is_told:
            terminal.say(tell_outcome(outcome))
    return any(outcome.fails or (needed and outcome.idle) for outcome in found)


def _run(bench: Bench, file: Path, cases: list[Case], reproducible: bool) -> list[Cell]:
    from workbench.evaluation.cell import CellFinished
    from workbench.evaluation.comparison import compare
    from workbench.evaluation.sources import find_sources
    from workbench.hosting.pool import Pool
    from workbench.settings import load_settings

    settings = load_settings()
    sources = find_sources(bench, file.parent, settings)
    strategy = bench.context_strategy or settings.context_strategy
    pool = Pool.configured(settings, reproducible)
    cells: list[Cell] = []
    try:
        for event in compare(bench, cases, pool, sources, strategy, folder=file.parent):
            if isinstance(event, CellFinished):
                cells.append(event.cell)
                _tell(event.cell, len(cells), len(cases) * len(bench.variants))
    finally:
        pool.close()
    order = {variant.name: place for place, variant in enumerate(bench.variants)}
    return sorted(cells, key=lambda cell: (cell.case, order[cell.variant]))


def _tell(cell: Cell, done: int, total: int) -> None:
    scores = "  ".join(f"{score.scorer} {score.value:.2f}" for score in cell.scores if score.applies)
    outcome = f"error: {cell.error.splitlines()[0]}" if cell.error else scores
    terminal.say(f"[{done}/{total}] case {cell.case}, {cell.variant}: {outcome or 'done'}")
    for note in cell.completion.notes:
        terminal.say(f"  Note: {note}")


def _load_cases(bench: Bench, file: Path) -> Cases | None:
    from workbench.evaluation.datasets import load_cases

    return load_cases(bench.dataset, file.parent) if bench.dataset else None


def _choose_cases(bench: Bench, cases: Cases | None, wanted: str) -> list[Case]:
    """The wanted cases, with what a person typed over one of them; without a dataset the one that was typed."""
    from workbench.evaluation.datasets import Case, overlay

    if cases is None:
        return [overlay(Case(1, {}), bench.inputs)]
    chosen = cases if wanted == "all" else _find_cases(bench, cases, wanted)
    return [overlay(case, bench.inputs) if case.number == bench.case else case for case in chosen]


def _find_cases(bench: Bench, cases: Cases, wanted: str) -> Cases:
    asked = re.fullmatch(r"(\d+)(?:-(\d+))?", wanted or str(bench.case))
    if not asked:
        raise BenchError(f"--case {wanted} names no case.", "Expected a number (3), a range (1-20), or all.")
    low, high = int(asked[1]), int(asked[2] or asked[1])
    chosen = cases[cases.place(low) : cases.place(high + 1)]
    first, last = cases.numbers[0], cases.numbers[-1]
    if low < 1 or high > last or not chosen:
        named = f"--case {wanted}" if wanted else f"The bench's case {bench.case}"
        raise BenchError(f"{named} does not exist.", f"The dataset has the cases {first} to {last}.")
    return chosen


def _choose_variants(bench: Bench, wanted: list[str]) -> tuple[Variant, ...]:
    names = [variant.name for variant in bench.variants]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise BenchError(f"No variant is called {' or '.join(unknown)}.", f"The bench has: {', '.join(names)}.")
    return tuple(variant for variant in bench.variants if not wanted or variant.name in wanted)
