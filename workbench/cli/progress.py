"""The progress of a run, on stderr: a line that moves on a terminal, a line now and then in a log.

Knows nothing of how cells are run.
"""

from __future__ import annotations

import shutil
import sys
import time

from workbench.cli import terminal
from workbench.evaluation.plan import Plan, PlannedModel
from workbench.evaluation.progress import RunProgress
from workbench.sanitize import sanitize_line

_BAR = 24
_LOG_SECONDS = 10.0


class ProgressLine:
    """See the module."""

    def __init__(self) -> None:
        self._moves = sys.stderr.isatty()
        self._told = time.monotonic()
        self._shown = False
        self._problem = ""

    def show(self, progress: RunProgress, last: bool = False) -> None:
        """Tell how far the run is; in a log not more than every ten seconds."""
        now = time.monotonic()
        if progress.problem != self._problem:
            self._tell_problem(progress.problem)
        if self._moves:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write("\r" + sanitize_line(_describe(progress, True))[:width].ljust(width))
            sys.stderr.flush()
            self._shown = True
        elif last or now - self._told >= _LOG_SECONDS:
            self._told = now
            terminal.say(_describe(progress, False))

    def _tell_problem(self, problem: str) -> None:
        """What the run waits for, and that it goes on, on a line that stays."""
        self._problem = problem
        self.end()
        waits = f"Waiting: {problem} The run goes on by itself when the store can be written again."
        terminal.say(waits if problem else "The store can be written again; the run goes on.")

    def end(self) -> None:
        """Leave the line as it is; what follows begins on the next."""
        if self._shown:
            sys.stderr.write("\n")
            self._shown = False


def describe_plan(plan: Plan) -> list[str]:
    """What is about to happen, a line each."""
    repeats = f" x {plan.repeats} repeats" if plan.repeats > 1 else ""
    lines = [f"{plan.cells:,} cells: {plan.variants} variants x {plan.cases:,} cases{repeats}"]
    if plan.done:
        lines[0] += f"; {plan.done:,} are done"
    if plan.cached:
        lines[0] += f"; {'about ' if plan.estimated else ''}{plan.cached:,} have an answer already"
    lines += [_describe_model(model) for model in plan.models]
    if plan.judges:
        lines.append(f"  judged by {', '.join(plan.judges)}")
    if plan.memory_bytes:
        free = "" if plan.memory_bytes <= plan.free_bytes else " - more than is free"
        lines.append(f"memory: about {_size(plan.memory_bytes)} of {_size(plan.free_bytes)} that are free{free}")
    if plan.seconds is not None and plan.seconds >= 1:
        lines.append(f"time: about {format_duration(plan.seconds)}, by earlier runs")
    lines += [f"Warning: {warning}" for warning in plan.warnings]
    return lines


def format_duration(seconds: float) -> str:
    """Such as 42 s, 3:05 min or 2:10 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02} h"


def _describe_model(model: PlannedModel) -> str:
    told = [f"{model.cells:,} cells"]
    if model.cached:
        told.append(f"{model.cached:,} known")
    if model.memory_bytes:
        told.append(_size(model.memory_bytes))
    if model.seconds is not None and model.seconds >= 1:
        told.append(format_duration(model.seconds))
    problem = f" - {model.problem}" if model.problem else ""
    return f"  {model.model} ({', '.join(told)}): {', '.join(model.variants)}{problem}"


def _describe(progress: RunProgress, bar: bool) -> str:
    share = progress.done / progress.total if progress.total else 1.0
    filled = int(share * _BAR)
    parts = [f"{progress.done:,}/{progress.total:,} cells"]
    if bar:
        parts[0] = f"[{'#' * filled}{'.' * (_BAR - filled)}] {parts[0]}"
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    if progress.cached:
        parts.append(f"{progress.cached:,} known")
    if progress.state != "running":
        parts.append(progress.state)
    elif progress.rate:
        parts.append(f"{progress.rate:.3g}/s")
    if progress.seconds_left is not None and progress.done < progress.total:
        parts.append(f"{format_duration(progress.seconds_left)} left")
    if progress.model and progress.done < progress.total:
        parts.append(progress.model)
    return "  ".join(parts)


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
