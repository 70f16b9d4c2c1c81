"""FinalPrompt: exactly what the model is sent, as text and as tokens."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content

from workbench.inference.types import ShownPicture, Tokenized
from workbench.prompting.context_fit import PictureCount
from workbench.sanitize import sanitize
from workbench.tui.widgets.dialog import Dialog
from workbench.tui.widgets.plain import Label, Static, plain_line
from workbench.units import format_plural

_SHADES = ("$primary 30%", "$secondary 30%", "$accent 30%", "$success 30%")


class FinalPrompt(Dialog[str | None]):
    """Dismissed with the text to copy, or with None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", "close", id="final.leave"),
        Binding("t,ctrl+t", "next_view", "text/tokens/ids", id="final.view", tooltip="Text, tokens or token ids"),
        Binding("y", "copy", "copy", id="final.copy", tooltip="Copy the prompt"),
    ]
    _VIEWS = ("tokens", "text", "ids")

    def __init__(self, title: str, prompt: Tokenized) -> None:
        super().__init__()
        self._title, self._prompt, self._view = title, prompt, 0

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -whole") as dialog:
            dialog.border_title = plain_line(f"{self._title} · {format_plural(len(self._prompt.ids), 'token')}")
            if notes := [*map(_describe, self._prompt.pictures), *self._prompt.notes]:
                yield Label(Content("\n".join(map(sanitize, notes))), id="final-notes")
            with VerticalScroll():
                yield Static(id="final-text")
            yield Label("t tokens/text/ids   y copy   esc close", classes="muted")

    def on_mount(self) -> None:
        self._draw()

    def action_next_view(self) -> None:
        self._view = (self._view + 1) % len(self._VIEWS)
        self._draw()

    def action_copy(self) -> None:
        self.dismiss(self._prompt.text)

    def _draw(self) -> None:
        view = {"tokens": self._tokens, "text": self._plain, "ids": self._ids}[self._VIEWS[self._view]]
        self.query_one("#final-text", Static).update(view())

    def _plain(self) -> Content:
        return Content(sanitize(self._prompt.text))

    def _tokens(self) -> Content:
        """Neighbouring tokens on different grounds; a line end stays visible inside its token."""
        shown = zip(self._prompt.ids, self._prompt.pieces, strict=True)
        parts = [
            (sanitize(piece).replace("\n", "↵\n") or ("▣" if token < 0 else "␀"), f"on {_SHADES[index % len(_SHADES)]}")
            for index, (token, piece) in enumerate(shown)
        ]
        return Content.assemble(*parts)

    def _ids(self) -> Content:
        rows: list[str | tuple[str, str]] = []
        for index, (token, piece) in enumerate(zip(self._prompt.ids, self._prompt.pieces, strict=True)):
            rows += [(f"{index:>6}  ", "$foreground 60%"), f"{token:>7}  {sanitize(piece)!r}\n"]
        return Content.assemble(*rows)


def _describe(one: ShownPicture) -> str:
    """A picture in a line: ▣ stands for each of its positions."""
    return f"▣ {PictureCount(one.name, one.width, one.height, one.tokens).text}"
