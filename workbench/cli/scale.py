"""`workbench scale`: a variant's score against the strength of its adapter.

Knows nothing of how the curve is measured (evaluation/scale.py).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.cli.consent import TRUST
from workbench.errors import BenchError

if TYPE_CHECKING:
    from workbench.evaluation.scale import ScaleCurve, ScalePoint
    from workbench.evaluation.summary import Estimate

_WIDTH = 30
"""columns of a track"""


def main(
    file: Annotated[str, typer.Argument(metavar="[FILE.bench.yaml]", help="The bench; else that of this folder.")] = "",
    variant: Annotated[str, typer.Option(metavar="NAME", help="The variant whose adapter is meant.")] = "",
    adapter: Annotated[str, typer.Option(metavar="NAME", help="Which of its adapters; else the first.")] = "",
    scales: Annotated[str, typer.Option(metavar="N,N,...", help="The scales to try.")] = "0,0.25,0.5,0.75,1,1.25,1.5",
    metric: Annotated[str, typer.Option(metavar="NAME", help="By which score; else the bench's first.")] = "",
    sample: Annotated[int | None, typer.Option(min=1, metavar="N", help="So many cases, drawn by a seed.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first so many cases.")] = None,
    trust: Annotated[bool, TRUST] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the curve as JSON.")] = False,
) -> None:
    """Find the strength at which an adapter does best.

    The variant runs at each scale on the same cases; the curve shows the score
    with its 95% interval, and which scales cannot be told from the best one,
    both corrected for the choice among them.
    Answers that are known already are not asked for again. Python files that
    the bench names as scorers run only where you trust them.

    \b
      workbench scale prompts/demo.bench.yaml --variant "plain + LoRA"
      workbench scale prompts/demo.bench.yaml --variant "plain + LoRA" --scales 0.8,1,1.2
    """
    from workbench.cli.part import Part
    from workbench.cli.variation import run_forms
    from workbench.evaluation.scale import measure_scale, scale_variants

    wanted = _read_scales(scales)
    forms = run_forms(
        file,
        variant,
        Part(sample=sample, limit=limit),
        "scale",
        trust,
        lambda chosen, sources: scale_variants(chosen, wanted, adapter),
    )
    with forms as (view, chosen):
        curve = measure_scale(view, chosen, metric, adapter)
    if json:
        from workbench.evaluation.reports.json import encode

        terminal.write_json(encode(curve))
    else:
        _print(curve)


def _read_scales(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise BenchError(
            f"--scales {text}: expected numbers with commas between.", "Such as --scales 0,0.5,1."
        ) from error


def _print(curve: ScaleCurve) -> None:
    from workbench.cli.table import console, make_table, show
    from workbench.evaluation.scale import tell_scale
    from workbench.evaluation.words import count_digits, format_interval, format_value, name_metric

    name = name_metric(curve.metric.name)
    table = make_table(["scale", name, "95%", "", "vs best"], right=["scale", name])
    low, high = _find_span(curve)
    for point in curve.points:
        one = point.value
        digits = count_digits(curve.metric, one.n, one.value)
        interval = format_interval(one, digits)
        track = draw_track(one, low, high)
        row = [f"{point.scale:g}", format_value(one.value, curve.metric, one.n), interval, track]
        table.add_row(*map(show, [*row, _judge(point, curve)]), style="bold" if point.scale == curve.best else "")
    out = console()
    out.print(show(f"{curve.variant}: {curve.adapter}, {curve.points[0].value.n:,} cases"))
    out.print(table)
    out.print(show(tell_scale(curve)))


def _find_span(curve: ScaleCurve) -> tuple[float, float]:
    """From where to where the track goes: 0 to 1, or as far as the values do."""
    if not curve.metric.free:
        return 0.0, 1.0
    ends = [value for point in curve.points for value in (point.value.value, point.value.low, point.value.high)]
    known = [value for value in ends if math.isfinite(value)]
    return min(known, default=0.0), max(known, default=1.0)


def draw_track(one: Estimate, low: float, high: float) -> str:
    """The value as a dot on a line from low to high, the interval as a bar behind it; "" where nothing is known."""
    if math.isnan(one.value):
        return ""
    ends = [one.value if math.isnan(end) else end for end in (one.low, one.high)]
    start, middle, end = (_place(value, low, high) for value in (ends[0], one.value, ends[1]))
    signs = ["━" if start <= at <= end else "·" for at in range(_WIDTH)]
    signs[middle] = "●"
    return "".join(signs)


def _place(value: float, low: float, high: float) -> int:
    share = (value - low) / (high - low) if high > low else 0.5
    return round(max(0.0, min(share, 1.0)) * (_WIDTH - 1))


def _judge(point: ScalePoint, curve: ScaleCurve) -> str:
    if point.scale == curve.best:
        return "best"
    return "same?" if point.verdict == "not distinguishable" else point.verdict or ""
