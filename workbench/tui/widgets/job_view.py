"""JobView: a training job: loss and score over steps, answers before and after, remaining time."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual_plot import HiResMode, LegendLocation, PlotWidget

from workbench.sanitize import sanitize
from workbench.training.events import JobEnded, JobEvaluated, JobEvent, JobNotice, JobPaused, JobStage, JobStarted
from workbench.training.job import merge_steps
from workbench.training.reward_movement import REWARD, Movement, list_movements
from workbench.tui.widgets.plain import Static, escape_label
from workbench.units import format_bytes, format_count, format_duration, format_number, format_plural

_STAGES = {
    "loading": "loading the base",
    "reading": "tokenizing",
    "training": "training",
    "evaluating": "evaluating",
    "saving": "saving",
}

_NOTICES = 3
_LEGEND_ROWS = 10
"""of a plot, below which a legend would lie on the curve"""


class JobView(Vertical):
    """Two plots above, answers below."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._events: Sequence[JobEvent] = ()
        self._alive = False

    def compose(self) -> ComposeResult:
        yield Static(id="job-state")
        yield Static(id="job-sentence")
        with Horizontal(id="job-plots"):
            for id in ("job-loss", "job-score"):
                yield PlotWidget(id=id, allow_pan_and_zoom=False)
        with VerticalScroll(can_focus=False):
            yield Static(id="job-samples")

    def show(self, events: Sequence[JobEvent], alive: bool) -> None:
        """Show what happened so far."""
        self._events, self._alive = events, alive
        self.query_one("#job-state", Static).update(describe_state(events, alive))
        self.query_one("#job-sentence", Static).update(describe_sentence(events, alive))
        examined = [event for event in events if isinstance(event, JobEvaluated)]
        began = find_start(events)
        for id in ("job-loss", "job-score"):  # the whole training from the beginning, so that curves grow to the right
            self.query_one(f"#{id}", PlotWidget).set_xlimits(0.0, float(began.steps) if began else None)
        self._draw_loss(events, examined)
        self._draw_score(events, examined)
        self.query_one("#job-samples", Static).update(
            Content.assemble(describe_movements(list_movements(tuple(events))), describe_samples(examined))
        )

    def on_resize(self) -> None:
        self.call_after_refresh(self.show, self._events, self._alive)

    def _show_legend(self, plot: PlotWidget, location: LegendLocation, drawn: bool) -> None:
        """A legend where there is a curve, and room beside it."""
        plot.show_legend(location, is_visible=drawn and plot.size.height >= _LEGEND_ROWS)

    def _draw_loss(self, events: Sequence[JobEvent], examined: Sequence[JobEvaluated]) -> None:
        plot = self.query_one("#job-loss", PlotWidget)
        plot.clear()
        steps = merge_steps(tuple(events))
        colours = self.app.theme_variables
        if steps:
            x, y = [float(step.step) for step in steps], [step.loss for step in steps]
            plot.plot(x, y, line_style=colours["primary"], hires_mode=HiResMode.BRAILLE, label="train")
        held = [(float(one.step), one.validation_loss) for one in examined if one.validation_loss is not None]
        if held:
            x, y = [step for step, _ in held], [loss for _, loss in held]
            plot.plot(x, y, line_style=colours["accent"], hires_mode=HiResMode.BRAILLE, label="validation")
        self._show_legend(plot, LegendLocation.TOPRIGHT, bool(steps or held))
        plot.set_xlabel("step")
        plot.set_ylabel("loss")

    def _draw_score(self, events: Sequence[JobEvent], examined: Sequence[JobEvaluated]) -> None:
        """The first score of each evaluation, and the reward of each update where answers are sampled."""
        plot = self.query_one("#job-score", PlotWidget)
        plot.clear()
        scored = [(float(one.step), one.scores) for one in examined if one.scores]
        rewards = [
            (float(one.step), one.metrics[REWARD]) for one in merge_steps(tuple(events)) if REWARD in one.metrics
        ]
        if rewards:
            x, y = [step for step, _ in rewards], [value for _, value in rewards]
            colour = self.app.theme_variables["primary"]
            plot.plot(x, y, line_style=colour, hires_mode=HiResMode.BRAILLE, label="reward")
            plot.set_ylabel("reward")
        if scored:
            metric = next(iter(scored[0][1]))
            x, y = [step for step, _ in scored], [scores.get(metric, 0.0) for _, scores in scored]
            colour = self.app.theme_variables["success"]
            label = escape_label(metric.replace("_", " "))
            plot.plot(x, y, line_style=colour, hires_mode=HiResMode.BRAILLE, label="validation")
            plot.scatter(x, y, marker="●", marker_style=colour)
            plot.set_ylabel(label if not rewards else f"reward, {label}")
            plot.set_ylimits(0.0 if not rewards else None, 1.05 if not rewards and max(y) <= 1 else None)
        self._show_legend(plot, LegendLocation.BOTTOMRIGHT, bool(scored or rewards))
        plot.set_xlabel("step")


def describe_state(events: Sequence[JobEvent], alive: bool) -> Content:
    """One line: how far it is, how fast, what it takes."""
    if alive and events and isinstance(events[-1], JobEnded):
        return Content.assemble(("resuming from the last checkpoint…", "$text-warning"))
    began = find_start(events)
    stage = next((event.stage for event in reversed(events) if isinstance(event, JobStage)), None)
    steps = merge_steps(tuple(events))
    if not events or began is None:
        return Content("starting…" if alive else "No events yet.")
    parts = [
        f"{format_count(began.trainable)} of {format_count(began.parameters)}"
        f" parameters trainable, {format_plural(began.rows, 'row')}"
    ]
    if steps:
        last = steps[-1]
        left = f", {format_duration(last.seconds_left)} left" if alive else ""
        parts += [
            f"step {last.step:,}/{began.steps:,}{left}",
            f"loss {last.loss:.3f}",
            f"{last.tokens_per_second:,.0f} tokens/s",
            format_bytes(last.memory_bytes),
        ]
    if alive and isinstance(events[-1], JobPaused):
        parts.append("paused")
    elif alive and stage is not None:
        parts.append(_STAGES[stage])
    return Content("   ".join(parts))


def find_start(events: Sequence[JobEvent]) -> JobStarted | None:
    """What it said when it began, or was resumed; None before that."""
    return next((event for event in reversed(events) if isinstance(event, JobStarted)), None)


def describe_sentence(events: Sequence[JobEvent], alive: bool = False) -> Content:
    """How it ended, unless it was resumed since; else the last notice, else the last evaluation."""
    last = events[-1] if events else None
    if isinstance(last, JobEnded) and not alive:
        style = "$text-error" if last.outcome == "failed" else "$text-success"
        return Content.assemble((sanitize(last.reason), f"bold {style}"), f" {sanitize(last.hint)}")
    notices = [event for event in events if isinstance(event, JobNotice)]
    if notices:  # rows and an examination may give several
        latest = [notice.text for notice in notices if notice.step == notices[-1].step]
        return Content.assemble((sanitize(" ".join(latest[-_NOTICES:])), "$text-warning"))
    examined = [event for event in events if isinstance(event, JobEvaluated)]
    best = next((event for event in reversed(examined) if event.best), None)
    if best is None or not best.scores:
        return Content("")
    scores = ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in best.scores.items())
    return Content(f"Best so far: step {best.step}, {scores} on {best.cases} validation cases.")


def describe_movements(movements: Sequence[Movement]) -> Content:
    """How reward, KL, length and every scorer moved: at the first and the last updates, and on validation."""
    if not movements:
        return Content("")
    width = max(len(one.name) for one in movements)
    parts: list[str | tuple[str, str]] = [
        (f"{'first and last updates, validation before and now':<{width}}\n", "bold $primary")
    ]
    for one in movements:
        sampled = f"{_show(one.first)} → {_show(one.last)}"
        held = "" if one.held_out is None else f"   validation {_show(one.base)} → {_show(one.held_out)}"
        parts.append(f"  {sanitize(one.name):<{width}}  {sampled}{held}\n")
    return Content.assemble(*parts, "\n")


def _show(value: float | None) -> str:
    return format_number(value, 3)


def describe_samples(examined: Sequence[JobEvaluated]) -> Content:
    """Answers of the last examination beside the base's."""
    last = next((one for one in reversed(examined) if one.samples), None)
    if last is None:
        return Content("")
    parts: list[str | tuple[str, str]] = [(f"answers after step {last.step}\n", "bold $primary")]
    for sample in last.samples:
        good = sample.answer.strip() == sample.expected.strip()
        parts += [
            (f"\n{sanitize(sample.asked)[:200]}\n", "$foreground 60%"),
            "  base ", (sanitize(sample.base)[:80] or "(empty)", "$foreground 60%"),
            "   now ", (sanitize(sample.answer)[:80] or "(empty)", "$text-success" if good else "$text-error"),
            ("" if good else f"   expected {sanitize(sample.expected)[:80]}"),
        ]  # fmt: skip
    return Content.assemble(*(part for part in parts if part))
