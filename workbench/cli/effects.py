"""`workbench effects`: what each few-shot example of a variant is worth, by leaving it out.

Knows nothing of how a change is judged (evaluation/effects.py).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.cli.consent import TRUST

if TYPE_CHECKING:
    from workbench.evaluation.effects import ExampleEffects

_SIGNS = {"helps": "▲ helps", "hurts": "▼ hurts", "not distinguishable": "≈ cannot tell"}


def main(
    file: Annotated[str, typer.Argument(metavar="[FILE.bench.yaml]", help="The bench; else that of this folder.")] = "",
    variant: Annotated[str, typer.Option(metavar="NAME", help="The variant whose examples are meant.")] = "",
    metric: Annotated[str, typer.Option(metavar="NAME", help="By which score; else the bench's first.")] = "",
    sample: Annotated[int | None, typer.Option(min=1, metavar="N", help="So many cases, drawn by a seed.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first so many cases.")] = None,
    trust: Annotated[bool, TRUST] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the effects as JSON.")] = False,
) -> None:
    """See which few-shot examples earn their place.

    The variant runs with all its examples, and once without each of them, on the
    same cases. For each example: the change in score that it makes, with a 95%
    interval, and the tokens it adds to every prompt. Answers that are known
    already are not asked for again; the run is kept like any other. Python
    files that the bench names as scorers run only where you trust them.

    \b
      workbench effects prompts/demo.bench.yaml --variant few-shot
      workbench effects prompts/demo.bench.yaml --variant few-shot --limit 50 --json
    """
    from workbench.cli.part import Part
    from workbench.cli.variation import run_forms
    from workbench.evaluation.effects import leave_one_out, measure_effects

    part = Part(sample=sample, limit=limit)
    forms = run_forms(
        file,
        variant,
        part,
        "effects",
        trust,
        lambda chosen, sources: leave_one_out(chosen, sources.open_prompt(chosen.prompt)),
    )
    with forms as (view, chosen):
        found = measure_effects(view, chosen.name, metric)
    if json:
        from workbench.evaluation.reports.json import encode

        terminal.write_json(encode(found))
    else:
        _print(found)


def _print(found: ExampleEffects) -> None:
    from workbench.cli.table import console, make_table, show
    from workbench.evaluation.effects import tell_effects
    from workbench.evaluation.words import count_digits, format_value, name_metric

    digits = count_digits(found.metric, found.value.n)
    value = format_value(found.value.value, found.metric, found.value.n)
    heading = f"{found.variant}: {name_metric(found.metric.name)} {value} with all {len(found.effects)} examples"
    table = make_table(["example", "shows", "answer", "change", "95%", "tokens", ""], right=["change", "tokens"])
    for one in found.effects:
        interval = one.unknown if math.isnan(one.low) else f"{one.low:+.{digits}f} to {one.high:+.{digits}f}"
        row = [one.example, _cut(one.shown), _cut(one.answer), f"{one.change:+.{digits}f}", interval]
        table.add_row(*map(show, [*row, f"{one.tokens:.0f}", _SIGNS[one.worth]]))
    out = console()
    out.print(show(f"{heading}, {found.value.n:,} cases"))
    out.print(table)
    out.print(show(tell_effects(found)))


def _cut(text: str) -> str:
    return text if len(text) <= 32 else f"{text[:31]}…"
