"""Explanation: each score of an answer with what was extracted and why it got its value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content

from workbench.sanitize import sanitize
from workbench.scoring.scorer import Score
from workbench.tui.widgets.dialog import Dialog
from workbench.tui.widgets.plain import Label, Static, plain_line


class Explanation(Dialog[None]):
    """Read-only; any of the leaving keys closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q,e", "dismiss(None)", "close", id="explanation.leave")
    ]

    def __init__(self, title: str, expected: str | None, text: str, scores: Sequence[Score]) -> None:
        super().__init__()
        self._title, self._expected, self._text, self._scores = title, expected, text, tuple(scores)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall") as dialog:
            dialog.border_title = plain_line(self._title)
            with VerticalScroll():
                yield Static(self._facts())
            yield Label("esc close", classes="muted")

    def _facts(self) -> Content:
        expected = "(none)" if self._expected is None else sanitize(self._expected)
        lines: list[str | tuple[str, str]] = [("expected   ", "$foreground 60%"), expected]
        lines += [("\nanswer     ", "$foreground 60%"), sanitize(self._text) or "(empty)"]
        for score in self._scores:
            lines += [("\n\n" + score.scorer.replace("_", " "), "bold $primary"), f"  {score.value:.2f}"]
            lines += [("\nextracted  ", "$foreground 60%"), sanitize(score.extracted) or "(nothing)"]
            lines += [("\nwhy        ", "$foreground 60%"), sanitize(score.explanation)]
        return Content.assemble(*lines)
