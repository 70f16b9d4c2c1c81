"""The progress of a run on stderr: one updated line on a terminal, a line every ten seconds in a log."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping

from workbench.cli import terminal
from workbench.runs.plan import Plan, PlannedModel
from workbench.runs.plan_memory import describe_memory
from workbench.runs.progress import RunFinished, RunProgress
from workbench.sanitize import sanitize_line
from workbench.units import format_bytes, format_duration, format_money, format_plural

_BAR = 24
_LOG_SECONDS = 10.0


class ProgressLine:
    """The line; `end` it before anything else is written."""

    def __init__(self) -> None:
        self._moves = sys.stderr.isatty()
        self._logged_at = time.monotonic()
        self._shown = False
        self._problem = ""

    def show(self, progress: RunProgress, last: bool = False) -> None:
        """Show how far the run is; in a log at most every ten seconds."""
        if progress.problem != self._problem:
            self._log_problem(progress.problem)
        self.show_text(_describe(progress, self._moves), last)

    def show_text(self, text: str, last: bool = False) -> None:
        """The same for a line in words."""
        now = time.monotonic()
        if self._moves:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write("\r" + sanitize_line(text)[:width].ljust(width))
            sys.stderr.flush()
            self._shown = True
        elif last or now - self._logged_at >= _LOG_SECONDS:
            self._logged_at = now
            terminal.log(text)

    def _log_problem(self, problem: str) -> None:
        """What the run is waiting for, and that it continues, on lines of their own."""
        self._problem = problem
        self.end()
        waits = f"Waiting: {problem} The run continues by itself when that is over."
        terminal.log(waits if problem else "The run continues.")

    def note(self, text: str) -> None:
        """Log a line of its own; from any thread."""
        self.end()
        terminal.log(text)

    def end(self) -> None:
        """Leave the line as it is; what follows begins on the next."""
        if self._shown:
            sys.stderr.write("\n")
            self._shown = False


def describe_plan(plan: Plan) -> list[str]:
    """The plan of a run, a line each."""
    repeats = f" x {plan.repeats} repeats" if plan.repeats > 1 else ""
    variants = format_plural(plan.variants, "variant")
    cases = format_plural(plan.cases, "case")
    part = f"shard {plan.shard} of " if plan.shard else ""
    lines = [f"{format_plural(plan.cells, 'cell')}: {part}{variants} x {cases}{repeats}"]
    if plan.done:
        lines[0] += f"; {plan.done:,} done"
    if plan.cached:
        lines[0] += f"; {'about ' if plan.estimated else ''}{plan.cached:,} cached"
    lines += [_describe_model(model) for model in plan.models]
    if plan.judges:
        lines.append(f"  judged by {', '.join(plan.judges)}")
    if plan.step_models:
        lines.append(f"  steps of chains also load {', '.join(plan.step_models)}")
    lines += describe_memory(plan.memory_bytes, plan.free_bytes, [one for model in plan.models for one in model.shares])
    if plan.seconds is not None and plan.seconds >= 1:
        lines.append(f"time: about {format_duration(plan.seconds)}, based on earlier runs")
    lines += _describe_cost(plan)
    lines += [f"Warning: {warning}" for warning in plan.warnings]
    return lines


def describe_limit(end: RunFinished, unfinished: Mapping[str, int]) -> str:
    """That a run ended at its spending limit, what is left, and how to continue."""
    left = ", ".join(f"{name} {count:,}" for name, count in unfinished.items() if count)
    return (
        f"Stopped at --max-cost: {format_money(end.spent)} spent, and one more cell might exceed it."
        f" Unfinished cells: {left}.\nContinue with: workbench eval --resume {end.run} --max-cost AMOUNT"
    )


def _describe_cost(plan: Plan) -> list[str]:
    """The tokens of what is left to do, and what they cost where a price is known."""
    left = [model for model in plan.models if model.cells > model.cached]
    read, written = (sum(getattr(one, name) for one in left) for name in ("prompt_tokens", "completion_tokens"))
    if not read and not written:
        return []
    lines = [f"tokens: about {read:,} prompt tokens, at most {written:,} completion tokens"]
    if any(one.price == "known" for one in left):
        judged = "; judges not counted" if plan.judges else ""
        lines.append(f"cost: at most {format_money(sum(one.most_cost for one in left))}{judged}")
    lines += [f"cost: the price of {one.model} is unknown" for one in left if one.price == "unknown"]
    return lines


def _describe_model(model: PlannedModel) -> str:
    parts = [format_plural(model.cells, "cell")]
    if model.cached:
        parts.append(f"{model.cached:,} cached")
    if model.memory_bytes:
        parts.append(format_bytes(model.memory_bytes))
    parts += [f"{format_bytes(share.bytes)} on {share.device.name}" for share in model.shares]
    if model.seconds is not None and model.seconds >= 1:
        parts.append(format_duration(model.seconds))
    problem = f" - {model.problem}" if model.problem else ""
    return f"  {model.model} ({', '.join(parts)}): {', '.join(model.variants)}{problem}"


def _describe(progress: RunProgress, bar: bool) -> str:
    share = progress.done / progress.total if progress.total else 1.0
    filled = int(share * _BAR)
    parts = [f"{progress.done:,}/{format_plural(progress.total, 'cell')}"]
    if bar:
        parts[0] = f"[{'#' * filled}{'.' * (_BAR - filled)}] {parts[0]}"
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    if progress.cached:
        parts.append(f"{progress.cached:,} cached")
    if progress.spent:
        parts.append(f"cost {format_money(progress.spent)}")
    if progress.state != "running":
        parts.append(progress.state)
    elif progress.rate:
        parts.append(f"{progress.rate:.3g}/s")
    if progress.seconds_left is not None and progress.done < progress.total:
        parts.append(f"{format_duration(progress.seconds_left)} left")
    if progress.model and progress.done < progress.total:
        parts.append(progress.model)
    return "  ".join(parts)
