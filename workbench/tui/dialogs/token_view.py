"""TokenView: an answer token by token, coloured by probability, with the top logprobs at each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content

from workbench.inference.types import TokenLogprob
from workbench.sanitize import sanitize
from workbench.tui.widgets.dialog import Dialog
from workbench.tui.widgets.plain import Label, Static, plain_line

_SURE, _LIKELY, _TORN = 0.9, 0.5, 0.2
_BAR_CELLS = 30


class TokenView(Dialog[None]):
    """Left and right move over the tokens; below are the top logprobs at the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,t", "dismiss(None)", "close", id="tokens.leave"),
        Binding("right,l", "step(1)", "next", id="tokens.next", tooltip="Next token"),
        Binding("left,h", "step(-1)", "previous", id="tokens.previous", tooltip="Previous token"),
        Binding(
            "tab,down", "doubt", "next uncertain", id="tokens.doubt", tooltip="Next uncertain token", priority=True
        ),
    ]

    def __init__(self, title: str, tokens: Sequence[TokenLogprob]) -> None:
        super().__init__()
        self._title, self._tokens, self._cursor = title, tuple(tokens), 0

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -whole") as dialog:
            dialog.border_title = plain_line(self._title)
            with VerticalScroll(can_focus=False):
                yield Static(id="tokens-text")
            yield Static(id="tokens-guesses")
            yield Label("left/right token   tab next uncertain token   esc close", classes="muted")

    def on_mount(self) -> None:
        self._draw()

    def action_step(self, step: int) -> None:
        self._cursor = max(0, min(self._cursor + step, len(self._tokens) - 1))
        self._draw()

    def action_doubt(self) -> None:
        """To the next token that the model was not sure of, from the start again after the last."""
        order = [*range(self._cursor + 1, len(self._tokens)), *range(self._cursor + 1)]
        doubtful = [index for index in order if math.exp(self._tokens[index].logprob) < _SURE]
        self._cursor = doubtful[0] if doubtful else self._cursor
        self._draw()

    def _draw(self) -> None:
        self.query_one("#tokens-text", Static).update(self._text())
        self.query_one("#tokens-guesses", Static).update(self._top_logprobs())

    def _text(self) -> Content:
        parts = [
            (_show_token(token.text), f"{_colour(token.logprob)}{' reverse bold' if index == self._cursor else ''}")
            for index, token in enumerate(self._tokens)
        ]
        return Content.assemble(*parts)

    def _top_logprobs(self) -> Content:
        token = self._tokens[self._cursor]
        rows: list[str | tuple[str, str]] = [
            (f"token {self._cursor + 1} of {len(self._tokens)}   ", "$foreground 60%"),
            f"{_show_token(token.text)!r}  {math.exp(token.logprob):.1%}\n",
        ]
        for entry in token.top_logprobs:
            probability = math.exp(entry.logprob)
            mark = "▸" if entry.text == token.text else " "
            bar = f"{'█' * round(probability * _BAR_CELLS):<{_BAR_CELLS}}"
            rows += [
                f"{mark} {_show_token(entry.text)!r:<18}",
                (bar, "$primary"),
                f" {probability:6.1%}\n",
            ]
        return Content.assemble(*rows)


def _show_token(text: str) -> str:
    return sanitize(text).replace("\n", "↵")


def _colour(logprob: float) -> str:
    """Sure is plain; the less probable, the warmer."""
    probability = math.exp(logprob)
    if probability >= _SURE:
        return "on $success 20%"
    if probability >= _LIKELY:
        return "on $primary 30%"
    return "on $warning 35%" if probability >= _TORN else "on $error 45%"
