"""The steps of a run's chains: how often each was carried out, skipped or failed, and what its calls take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from workbench.analysis.summary import StepSummary
from workbench.runs.bench import Bench
from workbench.runs.cell_step import CellStep
from workbench.runs.serialisation import read_steps
from workbench.runs.tool_results import is_unprepared
from workbench.runs.view import RunView
from workbench.scoring.factory import make_each
from workbench.store.cell_figures import read_cell_steps


def find_step_metrics(bench: Bench) -> frozenset[str]:
    """The metrics that score a step of a chain: a variant without the step lacks none."""
    specs = [spec for spec in bench.scorers if isinstance(spec, dict)]
    chosen = [spec for spec in specs if any((options or {}).get("step") for options in spec.values())]
    return frozenset(scorer.name for scorer in make_each(chosen, Path())[0])


def summarize_steps(view: RunView) -> dict[str, tuple[StepSummary, ...]]:
    """By variant, the steps of its chain in order; nothing of a variant that makes one call."""
    found: dict[int, list[tuple[CellStep, ...]]] = {}
    for variant, text in read_cell_steps(view.store, view.run.key):
        found.setdefault(variant, []).append(read_steps(text))
    return {view.variants[variant]: tuple(_add_up(cells)) for variant, cells in sorted(found.items())}


def _add_up(cells: Sequence[tuple[CellStep, ...]]) -> Iterator[StepSummary]:
    names = dict.fromkeys(step.name for steps in cells for step in steps)
    for name in names:
        own = [[step for step in steps if step.name == name] for steps in cells]
        yield _describe(name, [steps for steps in own if steps])


def _describe(name: str, cells: Sequence[Sequence[CellStep]]) -> StepSummary:
    """cells: the calls of the step in each cell that has any."""
    calls = [step for steps in cells for step in steps if step.model]  # one that failed before it asked has none
    fresh = [step.completion.elapsed_seconds for step in calls if not step.cached and step.state == "done"]
    counted = [step for step in calls if step.completion.server is None or step.completion.server.counted]
    return StepSummary(
        name,
        cells=len(cells),
        calls=len(calls),
        skipped=sum(steps[-1].state == "skipped" for steps in cells),
        failed=sum(any(step.state == "failed" for step in steps) for steps in cells),
        not_run=sum(steps[-1].state == "not_run" for steps in cells),
        again=sum(any(step.attempt > 1 for step in steps) for steps in cells),
        cached=sum(step.cached for step in calls),
        cut=sum(step.completion.stop_reason in ("length", "context") for step in calls),
        tokens_in=sum(step.completion.prompt_tokens for step in counted) / len(counted) if counted else 0.0,
        tokens_out=sum(step.completion.output_tokens for step in counted) / len(counted) if counted else 0.0,
        latency_p50=median(fresh) if fresh else 0.0,
        cost_per_thousand=sum(step.cost for step in calls) / len(cells) * 1000,
        live=sum(step.live for step in calls),
        unanswered=sum(is_unprepared(one) for step in calls for one in step.before if one.role == "tool"),
    )
