"""Difference: two answers word by word, what only one of them says marked by colour and by sign."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content

from workbench.analysis.word_diff import diff_words
from workbench.sanitize import sanitize
from workbench.tui.widgets.dialog import Dialog
from workbench.tui.widgets.plain import Label, Static, plain_line


class TitledAnswer(NamedTuple):
    """An answer under its pane's title."""

    title: str
    text: str


class DifferenceView(Dialog[None]):
    """Compares one pane with any other; keys walk through the others."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,d", "dismiss(None)", "close", id="difference.leave"),
        Binding("right,tab,n", "step(1)", "next pane", id="difference.next"),
        Binding("left,shift+tab,p", "step(-1)", "previous pane", id="difference.previous"),
    ]

    def __init__(self, first: TitledAnswer, others: Sequence[TitledAnswer]) -> None:
        super().__init__()
        self._first, self._others, self._other = first, tuple(others), 0

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -whole"):
            with VerticalScroll():
                yield Static(id="difference-text")
            yield Label("left/right pane   esc close", classes="muted")

    def on_mount(self) -> None:
        self._draw()

    def action_step(self, step: int) -> None:
        self._other = (self._other + step) % len(self._others)
        self._draw()

    def _draw(self) -> None:
        other = self._others[self._other]
        dialog = self.query_one(".dialog")
        dialog.border_title = plain_line(f"{self._first.title}   vs   {other.title}")
        left, right = mark_differences(self._first.text, other.text)
        same = "The answers are identical.\n\n" if self._first.text == other.text else ""
        page = Content.assemble(
            same, (f"{sanitize(self._first.title)}\n", "bold $primary"), left,
            "\n\n", (f"{sanitize(other.title)}\n", "bold $primary"), right,
        )  # fmt: skip
        self.query_one("#difference-text", Static).update(page)


def mark_differences(first: str, second: str) -> tuple[Content, Content]:
    """Both texts with the words that only one of them has marked: [-gone-] and {+new+}."""
    left: list[str | tuple[str, str]] = []
    right: list[str | tuple[str, str]] = []
    for change in diff_words(first, second):
        ours, theirs = sanitize(change.first), sanitize(change.second)
        if change.equal:
            left.append(ours)
            right.append(theirs)
            continue
        left += [(f"[-{ours}-]", "$text-error")] if ours else []
        right += [(f"{{+{theirs}+}}", "$text-success")] if theirs else []
    return Content.assemble(*left), Content.assemble(*right)
