"""`workbench diff`: two runs of the same cases, compared case by case."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.cli.options import Variants
from workbench.cli.services import open_store
from workbench.units import format_p

if TYPE_CHECKING:
    from workbench.analysis.baseline import CaseChange, RunComparison, VariantComparison
    from workbench.runs.matrix_rows import Metric
    from workbench.runs.view import RunView

_INPUT = 60


def main(
    before: Annotated[
        str, typer.Argument(metavar="RUN", help="The earlier run: an ID or a prefix of it, `last~1`, or `baseline`.")
    ] = "baseline",
    after: Annotated[str, typer.Argument(metavar="RUN", help="The later run.")] = "last",
    metric: Annotated[str, typer.Option(metavar="NAME", help="Score to compare by. Default: the first in both.")] = "",
    variant: Variants = None,
    cases: Annotated[int, typer.Option(min=0, metavar="N", help="List up to N changed cases of each kind.")] = 5,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, with every changed case.")] = False,
) -> None:
    """Show which cases a later run fixed and which it broke.

    Cases are matched by content, variants by name. Each difference comes with its interval and a test against chance.

    \b
      workbench diff                         the baseline against the latest run
      workbench diff last~1 last
      workbench diff 1ieuo0 1iev7i --metric token_f1 --cases 20

    \b
    Exit codes: 0 no variant got worse; 1 one did, beyond chance, or its verdict is
    withheld; 2 the runs cannot be compared.
    """
    from workbench.analysis.baseline import compare_runs
    from workbench.runs.view import RunView

    with open_store() as store:
        views = RunView(store, before), RunView(store, after)
        found = compare_runs(*views, metric)
        shown = [one for one in found.variants if not variant or one.name in variant]
        if json:
            _print_json(found, shown)
        else:
            _print(found, shown, views, cases)
    raise typer.Exit(terminal.FAILED if any(one.verdict in ("worse", "withheld") for one in shown) else terminal.OK)


def _print_json(found: RunComparison, shown: list[VariantComparison]) -> None:
    import msgspec

    from workbench.reports.json import encode

    terminal.write_json(encode(msgspec.structs.replace(found, variants=tuple(shown))))


def _print(found: RunComparison, shown: list[VariantComparison], views: tuple[RunView, RunView], most: int) -> None:
    import msgspec

    from workbench.analysis.narrative import describe_comparison, format_value
    from workbench.cli.table import console, make_table, show

    fixed, broken = ("better", "worse") if any(one.repeated for one in shown) else ("fixed", "broken")
    numbers = ["before", "after", fixed, broken, "unchanged", "difference", "p"]
    table = make_table(["variant", *numbers, "verdict"], right=numbers)
    for one in shown:
        values = [format_value(value, found.metric, one.n) for value in (one.before, one.after)]
        known = one.unknown or "–" if math.isnan(one.low) else f"{one.low:+.3f}, {one.high:+.3f}"
        interval = f"{one.difference:+.3f} [{known}]"
        row = [one.name, *values, f"{len(one.fixed):,}", f"{len(one.broken):,}", f"{one.unchanged:,}", interval]
        table.add_row(
            *(
                show(text)
                for text in [*row, format_p(one.p_adjusted).removeprefix("p ").removeprefix("= "), one.verdict]
            )
        )
    console().print(show(f"{found.a} → {found.b}, by {found.metric.name}, on {found.cases:,} shared cases"))
    console().print(table)
    console().print(show(describe_comparison(msgspec.structs.replace(found, variants=tuple(shown)))))
    for one in shown:
        for word, changes in ((fixed, one.fixed), (broken, one.broken)):
            for change in changes[:most]:
                answers = (
                    _format_rates(change, found.metric) if one.repeated else _format_answers(one.name, change, views)
                )
                console().print(show(f"  {word} by {one.name}: {_format_case(change, views)}: {answers}"))
            if len(changes) > most > 0:
                console().print(show(f"  … and {len(changes) - most:,} more {word} by {one.name}; --json has all"))


def _format_case(change: CaseChange, views: tuple[RunView, RunView]) -> str:
    case = views[1].case(change.case)
    asked = " ".join(next(iter(case.variables.values()), "").split())[:_INPUT]
    return f"case {change.case} ({asked})"


def _format_answers(variant: str, change: CaseChange, views: tuple[RunView, RunView]) -> str:
    """The one answer before and the one after."""
    before, after = views[0].cell(variant, change.was), views[1].cell(variant, change.case)
    case = views[1].case(change.case)
    answers = " → ".join(repr(cell.completion.text.strip()[:_INPUT]) if cell else "–" for cell in (before, after))
    return f"{answers}{f', expected {case.expected!r}' if case.expected is not None else ''}"


def _format_rates(change: CaseChange, metric: Metric) -> str:
    """How a case that was answered several times did; no single answer stands for them."""
    sides = (change.before, change.answers_before), (change.after, change.answers_after)
    if metric.binary:
        return " → ".join(f"right in {round(value * count)} of {count}" for value, count in sides)
    return " → ".join(f"mean {value:.3f} of {count} answers" for value, count in sides)
