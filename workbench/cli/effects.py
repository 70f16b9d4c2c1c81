"""`workbench effects`: what each few-shot example of a variant contributes, measured by leaving it out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.cli.options import BenchFile, Json, Limit, Metric, Sample, Seed, Trust
from workbench.units import format_plural

if TYPE_CHECKING:
    from workbench.analysis.example_effects import ExampleEffects

_SIGNS = {"helps": "▲ helps", "hurts": "▼ hurts", "not distinguishable": "≈ cannot tell"}


def main(
    file: BenchFile = None,
    variant: Annotated[str, typer.Option(metavar="NAME", help="The variant whose examples to test.")] = "",
    metric: Metric = "",
    sample: Sample = None,
    seed: Seed = None,
    limit: Limit = None,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """See which few-shot examples help.

    A leave-one-out ablation: runs the variant with all its examples and once without each of them, on the same cases.
    For each example: the change in score, with a 95% interval, and the tokens it adds to every prompt. Cached answers
    are reused; the run is stored like any other. If the bench has Python scorers of its own, you are asked before they
    run.

    \b
      workbench effects prompts/demo.bench.yaml --variant few-shot
      workbench effects prompts/demo.bench.yaml --variant few-shot --limit 50 --json
    """
    from workbench.analysis.example_effects import leave_one_out, measure_effects
    from workbench.cli.selection import BenchSelection
    from workbench.cli.variants import run_variants

    selection = BenchSelection(sample=sample, seed=seed, limit=limit)
    forms = run_variants(
        file,
        variant,
        selection,
        "effects",
        trust,
        lambda chosen, sources: leave_one_out(chosen, sources.open_prompt(chosen.prompt)),
    )
    with forms as (view, chosen):
        found = measure_effects(view, chosen.name, metric)
    if json:
        from workbench.reports.json import encode

        terminal.write_json(encode(found))
    else:
        _print(found)


def _print(found: ExampleEffects) -> None:
    from workbench.analysis.example_effects import describe_effects
    from workbench.analysis.narrative import count_digits, format_value, name_metric
    from workbench.cli.table import console, make_table, show

    digits = count_digits(found.metric, found.value.n)
    value = format_value(found.value.value, found.metric, found.value.n)
    heading = f"{found.variant}: {name_metric(found.metric.name)} {value} with all {len(found.effects)} examples"
    table = make_table(["example", "shows", "answer", "change", "95%", "tokens", ""], right=["change", "tokens"])
    for one in found.effects:
        interval = one.unknown if math.isnan(one.low) else f"{one.low:+.{digits}f} to {one.high:+.{digits}f}"
        row = [one.example, _cut(one.shown), _cut(one.answer), f"{one.change:+.{digits}f}", interval]
        table.add_row(*map(show, [*row, f"{one.tokens:.0f}", _SIGNS[one.worth]]))
    out = console()
    out.print(show(f"{heading}, {format_plural(found.value.n, 'case')}"))
    out.print(table)
    out.print(show(describe_effects(found)))


def _cut(text: str) -> str:
    return text if len(text) <= 32 else f"{text[:31]}…"
