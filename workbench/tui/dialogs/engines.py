"""EnginesView: a card for each engine, redrawn twice a second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll

from workbench.tui.engine_text import EngineFacts, describe_activity, describe_engine
from workbench.tui.widgets.dialog import Dialog, is_open
from workbench.tui.widgets.plain import Static, plain_line

_SECONDS = 0.5
_FRAME = 4
"""columns of a card that are its border's and its padding's"""


class EngineCard(Static):
    """One engine."""

    def show(self, engine: EngineFacts, width: int) -> None:
        self.border_title = plain_line(engine.name)
        self.border_subtitle = plain_line(describe_activity(engine))
        self.set_class(bool(engine.status and engine.status.running), "-running")
        self.update(describe_engine(engine, width))


class EnginesView(Dialog[None]):
    """Read-only. `look` must return at once."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,E", "dismiss(None)", "close", id="engines.leave")]

    def __init__(self, look: Callable[[], Sequence[EngineFacts]]) -> None:
        super().__init__()
        self._ask = look
        self._cards: list[EngineCard] = []
        self._scroll = VerticalScroll(Static("No engine is running. The first request starts one.", id="engines-none"))

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="engines") as dialog:
            dialog.border_title = "Engines"
            dialog.border_subtitle = "esc close"
            yield self._scroll

    def on_mount(self) -> None:
        self._draw()
        self.call_after_refresh(self._draw)
        self.set_interval(_SECONDS, self._draw)

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        if not is_open(self):
            return
        engines = self._ask()
        self._fit(len(engines))
        self.query_one("#engines-none").display = not engines
        width = max(self._scroll.scrollable_content_region.width - _FRAME, 20)
        for card, engine in zip(self._cards, engines, strict=True):
            card.show(engine, width)

    def _fit(self, count: int) -> None:
        """As many cards as engines."""
        for card in self._cards[count:]:
            card.remove()
        new = [EngineCard() for _ in range(count - len(self._cards))]
        self._cards = [*self._cards[:count], *new]
        if new:
            self._scroll.mount(*new)
