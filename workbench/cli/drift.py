"""`workbench drift`: a bench over its runs.

Knows nothing of how a change is judged (evaluation/drift.py).
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.cli.tools import open_store

if TYPE_CHECKING:
    from workbench.evaluation.drift import Drift, DriftPoint

_SIGNS = {"better": "▲", "worse": "▼", "not distinguishable": "≈", "withheld": "?"}


def main(
    bench: Annotated[str, typer.Argument(metavar="[BENCH]", help="A bench's name, as `workbench runs` shows it.")] = "",
    metric: Annotated[str, typer.Option(metavar="NAME", help="By which score; else the bench's first.")] = "",
    last: Annotated[int, typer.Option(min=1, metavar="N", help="Only the newest so many runs.")] = 30,
    json: Annotated[bool, typer.Option("--json", help="Print the series as JSON.")] = False,
) -> None:
    """See how a bench's scores moved from run to run.

    Each run is compared, on the cases they share, with the pinned one (`workbench
    runs RUN --pin`), else with the oldest shown: ▲ better, ▼ worse, ≈ no change
    beyond chance.

    \b
      workbench drift
      workbench drift demo --last 10

    \b
    Exit codes: 0 no variant's newest score is worse than the baseline's beyond
    chance; 1 one is; 2 there is no such run.
    """
    from workbench.evaluation.drift import read_drift

    with open_store() as store:
        drift = read_drift(store, bench, metric, last)
    if json:
        from workbench.evaluation.reports.json import encode

        terminal.write_json(encode(drift))
    else:
        _print(drift)
    raise typer.Exit(terminal.FAILED if drift.fallen else terminal.OK)


def _print(drift: Drift) -> None:
    from workbench.cli.table import console, make_table, show
    from workbench.evaluation.words import name_metric

    names = list(dict.fromkeys(name for point in drift.points for name in point.values))
    table = make_table(["run", "begun (UTC)", *names, "note"])
    for point in drift.points:
        begun = datetime.fromtimestamp(point.started, UTC).strftime("%Y-%m-%d %H:%M")
        run = f"{point.run} (baseline)" if point.run == drift.baseline else point.run
        table.add_row(*map(show, [run, begun, *(_show(point, name, drift) for name in names), point.note]))
    out = console()
    out.print(show(f"{drift.bench}: {name_metric(drift.metric.name)}, each against {drift.baseline}"))
    out.print(table)
    if drift.fallen:
        out.print(show(f"Fell beyond chance since the baseline: {', '.join(drift.fallen)}."))


def _show(point: DriftPoint, name: str, drift: Drift) -> str:
    from workbench.evaluation.words import format_value

    found = point.values.get(name)
    if found is None or math.isnan(found.value):
        return "–"
    change = point.changes.get(name)
    return f"{format_value(found.value, drift.metric, found.n)} {_SIGNS[change.verdict] if change else ''}".strip()
