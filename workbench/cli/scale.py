"""`workbench scale`: a variant's score against the scale of its adapter."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.cli.options import BenchFile, Json, Limit, Metric, Sample, Seed, Trust
from workbench.errors import BenchError
from workbench.units import format_plural

if TYPE_CHECKING:
    from workbench.analysis.adapter_scales import ScaleCurve, ScalePoint
    from workbench.analysis.summary import Estimate

_WIDTH = 30
"""columns of a track"""


def main(
    file: BenchFile = None,
    variant: Annotated[str, typer.Option(metavar="NAME", help="The variant whose adapter to test.")] = "",
    adapter: Annotated[str, typer.Option(metavar="NAME", help="Which of its adapters. Default: the first.")] = "",
    scales: Annotated[str, typer.Option(metavar="N,N,...", help="The scales to try.")] = "0,0.25,0.5,0.75,1,1.25,1.5",
    metric: Metric = "",
    sample: Sample = None,
    seed: Seed = None,
    limit: Limit = None,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Find the scale at which an adapter does best.

    Runs the variant at each scale on the same cases. Prints the score with its 95% interval, and which scales are not
    distinguishable from the best one, both corrected for multiple comparisons. Cached answers are reused. If the bench
    has Python scorers of its own, you are asked before they run.

    \b
      workbench scale prompts/demo.bench.yaml --variant "plain + LoRA"
      workbench scale prompts/demo.bench.yaml --variant "plain + LoRA" --scales 0.8,1,1.2
    """
    from workbench.analysis.adapter_scales import measure_scale, scale_variants
    from workbench.cli.selection import BenchSelection
    from workbench.cli.variants import run_variants

    wanted = _read_scales(scales)
    forms = run_variants(
        file,
        variant,
        BenchSelection(sample=sample, seed=seed, limit=limit),
        "scale",
        trust,
        lambda chosen, sources: scale_variants(chosen, wanted, adapter),
    )
    with forms as (view, chosen):
        curve = measure_scale(view, chosen, metric, adapter)
    if json:
        from workbench.reports.json import encode

        terminal.write_json(encode(curve))
    else:
        _print(curve)


def _read_scales(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise BenchError(
            f"--scales {text}: expected comma-separated numbers.", "For example: --scales 0,0.5,1"
        ) from error


def _print(curve: ScaleCurve) -> None:
    from workbench.analysis.adapter_scales import describe_scales
    from workbench.analysis.narrative import count_digits, format_interval, format_value, name_metric
    from workbench.cli.table import console, make_table, show

    name = name_metric(curve.metric.name)
    table = make_table(["scale", name, "95%", "", "vs best"], right=["scale", name])
    low, high = _find_span(curve)
    for point in curve.points:
        one = point.value
        digits = count_digits(curve.metric, one.n, one.value)
        interval = format_interval(one, digits)
        track = draw_track(one, low, high)
        row = [f"{point.scale:g}", format_value(one.value, curve.metric, one.n), interval, track]
        table.add_row(
            *map(show, [*row, _compare_with_best(point, curve)]), style="bold" if point.scale == curve.best else ""
        )
    out = console()
    out.print(show(f"{curve.variant}: {curve.adapter}, {format_plural(curve.points[0].value.n, 'case')}"))
    out.print(table)
    out.print(show(describe_scales(curve)))


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
    start, middle, end = (_column(value, low, high) for value in (ends[0], one.value, ends[1]))
    signs = ["━" if start <= at <= end else "·" for at in range(_WIDTH)]
    signs[middle] = "●"
    return "".join(signs)


def _column(value: float, low: float, high: float) -> int:
    share = (value - low) / (high - low) if high > low else 0.5
    return round(max(0.0, min(share, 1.0)) * (_WIDTH - 1))


def _compare_with_best(point: ScalePoint, curve: ScaleCurve) -> str:
    if point.scale == curve.best:
        return "best"
    return "same?" if point.verdict == "not distinguishable" else point.verdict or ""
