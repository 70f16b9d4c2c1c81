"""Difference: two answers word by word, what only one of them says marked by colour and by sign."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content

from workbench.sanitize import sanitize
from workbench.tui.widgets.dialog import Dialog
from workbench.tui.widgets.plain import Label, Static, plain_line

_WORDS = re.compile(r"\s+|[^\W_]+|[^\s\w]|_")


class Answer(NamedTuple):
    """An answer under its pane's title."""

    title: str
    text: str


class Difference(Dialog[None]):
    """Compares one pane with any other; keys walk through the others."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,d", "dismiss(None)", "leave", id="difference.leave"),
        Binding("right,tab,n", "step(1)", "next pane", id="difference.next"),
        Binding("left,shift+tab,p", "step(-1)", "previous pane", id="difference.previous"),
    ]

    def __init__(self, first: Answer, others: Sequence[Answer]) -> None:
        super().__init__()
        self._first, self._others, self._other = first, tuple(others), 0

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -whole"):
            with VerticalScroll():
                yield Static(id="difference-text")
            yield Label("left/right other pane   esc leave", classes="muted")

    def on_mount(self) -> None:
        self._draw()

    def action_step(self, step: int) -> None:
        self._other = (self._other + step) % len(self._others)
        self._draw()

    def _draw(self) -> None:
        other = self._others[self._other]
        dialog = self.query_one(".dialog")
        dialog.border_title = plain_line(f"{self._first.title}   against   {other.title}")
        left, right = mark_differences(self._first.text, other.text)
        same = "The two answers are the same.\n\n" if self._first.text == other.text else ""
        page = Content.assemble(
            same, (f"{sanitize(self._first.title)}\n", "bold $primary"), left,
            "\n\n", (f"{sanitize(other.title)}\n", "bold $primary"), right,
        )  # fmt: skip
        self.query_one("#difference-text", Static).update(page)


def mark_differences(first: str, second: str) -> tuple[Content, Content]:
    """Both texts with the words that only one of them has marked: [-gone-] and {+new+}."""
    words = _WORDS.findall(first), _WORDS.findall(second)
    left: list[str | tuple[str, str]] = []
    right: list[str | tuple[str, str]] = []
    for kind, start, end, other_start, other_end in SequenceMatcher(None, *words, autojunk=False).get_opcodes():
        ours, theirs = sanitize("".join(words[0][start:end])), sanitize("".join(words[1][other_start:other_end]))
        if kind == "equal":
            left.append(ours)
            right.append(theirs)
            continue
        left += [(f"[-{ours}-]", "$text-error")] if ours else []
        right += [(f"{{+{theirs}+}}", "$text-success")] if theirs else []
    return Content.assemble(*left), Content.assemble(*right)
