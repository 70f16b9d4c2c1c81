"""`workbench drift`: the scores of a bench over its runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.cli.options import Json, Metric
from workbench.cli.services import open_store
from workbench.units import format_date

if TYPE_CHECKING:
    from workbench.analysis.baseline import BaselinePoint, BaselineSeries

_SIGNS = {"better": "▲", "worse": "▼", "not distinguishable": "≈", "withheld": "?"}


def main(
    bench: Annotated[str, typer.Argument(metavar="BENCH", help="Name of a bench, as listed by `workbench runs`.")] = "",
    metric: Metric = "",
    last: Annotated[int, typer.Option(min=1, metavar="N", help="Only the latest N runs.")] = 30,
    json: Json = False,
) -> None:
    """See how a bench's scores changed from run to run.

    Each run is compared, on the cases they share, with the pinned baseline (`workbench runs RUN --pin`), else with the
    oldest run shown: ▲ better, ▼ worse, ≈ not distinguishable.

    \b
      workbench drift
      workbench drift demo --last 10

    \b
    Exit codes: 0 no variant is now worse than the baseline beyond chance; 1 one
    is; 2 no such run.
    """
    from workbench.analysis.baseline import read_series

    with open_store() as store:
        drift = read_series(store, bench, metric, last)
    if json:
        from workbench.reports.json import encode

        terminal.write_json(encode(drift))
    else:
        _print(drift)
    raise typer.Exit(terminal.FAILED if drift.fallen else terminal.OK)


def _print(drift: BaselineSeries) -> None:
    from workbench.analysis.narrative import name_metric
    from workbench.cli.table import console, make_table, show

    names = list(dict.fromkeys(name for point in drift.points for name in point.values))
    table = make_table(["run", "started", *names, "note"])
    for point in drift.points:
        begun = format_date(point.started)
        run = f"{point.run} (baseline)" if point.run == drift.baseline else point.run
        table.add_row(*map(show, [run, begun, *(_show(point, name, drift) for name in names), point.note]))
    out = console()
    out.print(show(f"{drift.bench}: {name_metric(drift.metric.name)}, each against {drift.baseline}"))
    out.print(table)
    if drift.fallen:
        out.print(show(f"Worse than the baseline, beyond chance: {', '.join(drift.fallen)}."))


def _show(point: BaselinePoint, name: str, drift: BaselineSeries) -> str:
    from workbench.analysis.narrative import format_value

    found = point.values.get(name)
    if found is None or math.isnan(found.value):
        return "–"
    change = point.changes.get(name)
    return f"{format_value(found.value, drift.metric, found.n)} {_SIGNS[change.verdict] if change else ''}".strip()
