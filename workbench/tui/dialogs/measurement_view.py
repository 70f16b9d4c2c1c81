"""MeasurementView: a measurement while it runs, and its result. Dismissed with nothing; leaving cancels it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content

from workbench.sanitize import sanitize
from workbench.tui.background_task import BackgroundTask
from workbench.tui.widgets.dialog import Dialog, is_open
from workbench.tui.widgets.editing import TextArea
from workbench.tui.widgets.plain import Label, plain_line
from workbench.units import format_duration

POLLS_PER_SECOND = 4


class MeasurementView(Dialog[None]):
    """A line of progress above the text."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "close", id="measurement.leave", priority=True)
    ]

    def __init__(self, title: str, measuring: BackgroundTask[str]) -> None:
        super().__init__()
        self._title, self._measured = title, measuring
        self._shown = -1

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -whole") as dialog:
            dialog.border_title = plain_line(self._title)
            yield Label("", id="measurement-state")
            yield TextArea("", read_only=True, soft_wrap=False, show_line_numbers=False)
            yield Label("up/down scroll   shift+arrows select   ^c copy   esc close, stops it", classes="muted")

    def on_mount(self) -> None:
        self.query_one(TextArea).focus()
        self.set_interval(1 / POLLS_PER_SECOND, self._poll)
        self._poll()

    def _poll(self) -> None:
        task = self._measured
        if not is_open(self) or task.version == self._shown:
            return
        self._shown = task.version
        self.query_one("#measurement-state", Label).update(_describe(task))
        if task.result is not None:
            self.query_one(TextArea).text = sanitize(task.result)

    def action_leave(self) -> None:
        if self._measured.running:
            self._measured.cancel()
        self.dismiss(None)


def _describe(task: BackgroundTask[str]) -> Content:
    if task.error is not None:
        return Content.assemble((sanitize(task.error.message), "bold $text-error"), f"  {sanitize(task.error.hint)}")
    if not task.running:
        return Content("")
    found = task.progress
    if found is None or not found.total:
        return Content(f"{task.stage}…")
    left = f", {format_duration(found.seconds_left)} left" if found.seconds_left is not None else ""
    failed = f", {found.failed:,} failed" if found.failed else ""
    return Content(f"{task.stage}: {found.done:,} of {found.total:,} answers{left}{failed}")
