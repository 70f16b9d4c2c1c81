"""JobView: a training as it goes: loss and score over steps, answers before and after, how long it still takes.

Knows nothing of where the events come from.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual_plot import HiResMode, PlotWidget

from workbench.sanitize import sanitize
from workbench.training.job import curve
from workbench.training.progress import JobBegan, JobEnded, JobEvent, JobExamined, JobNotice, JobPaused, JobStage
from workbench.tui.figures import show_bytes, show_count, show_seconds
from workbench.tui.widgets.plain import Static, escape_label

_STAGES = {
    "loading": "loading the base",
    "reading": "reading the rows",
    "training": "training",
    "examining": "answering validation cases",
    "saving": "saving",
}

_NOTICES = 3


class JobView(Vertical):
    """Two plots above, answers below."""

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
        self.query_one("#job-state", Static).update(describe_state(events, alive))
        self.query_one("#job-sentence", Static).update(describe_sentence(events))
        examined = [event for event in events if isinstance(event, JobExamined)]
        self._draw_loss(events, examined)
        self._draw_score(examined)
        self.query_one("#job-samples", Static).update(describe_samples(examined))

    def _draw_loss(self, events: Sequence[JobEvent], examined: Sequence[JobExamined]) -> None:
        plot = self.query_one("#job-loss", PlotWidget)
        plot.clear()
        steps = curve(tuple(events))
        colours = self.app.theme_variables
        if steps:
            x, y = [float(step.step) for step in steps], [step.loss for step in steps]
            plot.plot(x, y, line_style=colours["primary"], hires_mode=HiResMode.BRAILLE, label="train")
        held = [(float(one.step), one.validation_loss) for one in examined if one.validation_loss is not None]
        if held:
            x, y = [step for step, _ in held], [loss for _, loss in held]
            plot.plot(x, y, line_style=colours["accent"], hires_mode=HiResMode.BRAILLE, label="validation")
        plot.set_xlabel("step")
        plot.set_ylabel("loss")

    def _draw_score(self, examined: Sequence[JobExamined]) -> None:
        plot = self.query_one("#job-score", PlotWidget)
        plot.clear()
        scored = [(float(one.step), one.scores) for one in examined if one.scores]
        if scored:
            metric = next(iter(scored[0][1]))
            x, y = [step for step, _ in scored], [scores.get(metric, 0.0) for _, scores in scored]
            colour = self.app.theme_variables["success"]
            plot.plot(x, y, line_style=colour, hires_mode=HiResMode.BRAILLE)
            plot.scatter(x, y, marker="●", marker_style=colour)
            plot.set_ylabel(escape_label(metric.replace("_", " ")))
            plot.set_ylimits(0.0, 1.05 if max(y) <= 1 else None)
        plot.set_xlabel("step")


def describe_state(events: Sequence[JobEvent], alive: bool) -> Content:
    """One line: how far it is, how fast, what it takes."""
    began = next((event for event in reversed(events) if isinstance(event, JobBegan)), None)
    stage = next((event.stage for event in reversed(events) if isinstance(event, JobStage)), None)
    steps = curve(tuple(events))
    if not events or began is None:
        return Content("starting…" if alive else "Nothing has happened yet.")
    parts = [f"{show_count(began.trainable)} of {show_count(began.parameters)} numbers learn, {began.rows:,} rows"]
    if steps:
        last = steps[-1]
        left = f", {show_seconds(last.seconds_left)} left" if alive else ""
        parts += [
            f"step {last.step:,}/{began.steps:,}{left}",
            f"loss {last.loss:.3f}",
            f"{last.tokens_per_second:,.0f} tokens/s",
            show_bytes(last.memory_bytes),
        ]
    if alive and isinstance(events[-1], JobPaused):
        parts.append("paused")
    elif alive and stage is not None:
        parts.append(_STAGES[stage])
    return Content("   ".join(parts))


def describe_sentence(events: Sequence[JobEvent]) -> Content:
    """What a person should know: how it ended, else the last notice, else the last examination."""
    last = events[-1] if events else None
    if isinstance(last, JobEnded):
        style = "$text-error" if last.outcome == "failed" else "$text-success"
        return Content.assemble((sanitize(last.reason), f"bold {style}"), f" {sanitize(last.hint)}")
    notices = [event for event in events if isinstance(event, JobNotice)]
    if notices:  # rows and an examination may give several
        latest = [notice.text for notice in notices if notice.step == notices[-1].step]
        return Content.assemble((sanitize(" ".join(latest[-_NOTICES:])), "$text-warning"))
    examined = [event for event in events if isinstance(event, JobExamined)]
    best = next((event for event in reversed(examined) if event.best), None)
    if best is None or not best.scores:
        return Content("")
    scores = ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in best.scores.items())
    return Content(f"Best so far: step {best.step}, {scores} on {best.cases} validation cases.")


def describe_samples(examined: Sequence[JobExamined]) -> Content:
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
