"""AdapterPanel: the adapters of one pane with their scales. Each change applies at once, so that the answer follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content

from workbench.runs.bench import AdapterChoice
from workbench.sanitize import sanitize
from workbench.tui.widgets.dialog import Dialog
from workbench.tui.widgets.plain import Label, Option, OptionList, plain_line

AdapterCommand = Literal["up", "down", "toggle", "remove"]
Change = Callable[[AdapterCommand, int], Sequence[AdapterChoice]]
_STRONGEST = 2.0


class AdapterPanel(Dialog[Literal["add"] | None]):
    """Dismissed with `add` to add another adapter, else with None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", "close", id="adapters.leave"),
        Binding("a", "dismiss('add')", "add", id="adapters.add", tooltip="Add an adapter"),
        Binding(
            "space,enter",
            "change('toggle')",
            "on/off",
            id="adapters.toggle",
            tooltip="Switch the adapter on or off",
            priority=True,
        ),
        Binding(
            "right,plus,equals_sign",
            "change('up')",
            "stronger",
            id="adapters.up",
            tooltip="Raise the scale",
            priority=True,
        ),
        Binding("left,minus", "change('down')", "weaker", id="adapters.down", tooltip="Lower the scale", priority=True),
        Binding("delete,backspace,x", "change('remove')", "remove", id="adapters.remove", tooltip="Remove the adapter"),
    ]

    options = getters.query_one(OptionList)

    def __init__(self, title: str, adapters: Sequence[AdapterChoice], change: Change) -> None:
        """change: carries out a wish for the adapter at a position; the adapters after it."""
        super().__init__()
        self._title, self._adapters, self._change = title, tuple(adapters), change

    def compose(self) -> ComposeResult:
        with Vertical(classes="panel") as panel:
            panel.border_title = plain_line(self._title)
            yield OptionList()
            yield Label("left/right scale   space on/off\na add   x remove   esc close", classes="muted")

    def on_mount(self) -> None:
        self._fill()

    def action_change(self, command: AdapterCommand) -> None:
        index = self.options.highlighted
        if index is not None and index < len(self._adapters):
            self._adapters = tuple(self._change(command, index))
            self._fill()

    def _fill(self) -> None:
        kept = self.options.highlighted or 0
        rows = [Option(self._row(choice)) for choice in self._adapters]
        nothing = Option(Content("This pane has no adapter.\nPress a to add one."), disabled=True)
        self.options.set_options(rows or [nothing])
        if rows:
            self.options.highlighted = min(kept, len(rows) - 1)

    def _row(self, choice: AdapterChoice) -> Content:
        filled = round(choice.scale / _STRONGEST * 20)
        bar = "━" * filled + "─" * (20 - filled)
        head = f"{'☑' if choice.on else '☐'} {sanitize(choice.adapter)}\n  "
        return Content.assemble(
            (head, "" if choice.on else "$foreground 45%"), (bar, "$primary"), f" ×{choice.scale:.1f}"
        )
