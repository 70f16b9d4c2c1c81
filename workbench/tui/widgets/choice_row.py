"""ChoiceRow: options side by side, of which one is chosen, or any number."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.widget import Widget

from workbench.sanitize import sanitize_line

_GAP = 2
_MARK = 2  # columns before each label


class Choice(NamedTuple):
    """An option: its id and what is shown."""

    id: str
    label: str


class ChoiceRow(Widget, can_focus=True):
    """Left and right move; of several, space or a click checks."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "previous option", show=False, id="choice.left"),
        Binding("right", "move(1)", "next option", show=False, id="choice.right"),
        Binding("space", "check", "check or uncheck", show=False, id="choice.check"),
        Binding("enter", "submit", "done", show=False, id="choice.submit"),
    ]

    class ChoiceMade(Message):
        """A person chose otherwise. toggled: the option in question."""

        def __init__(self, row: ChoiceRow, toggled: str) -> None:
            super().__init__()
            self.row, self.toggled = row, toggled

    class ChoiceSubmitted(Message):
        """Enter was pressed."""

    def __init__(self, id: str, choices: Sequence[Choice], several: bool) -> None:
        super().__init__(id=id)
        self._choices, self._several = tuple(choices), several
        self.chosen: tuple[str, ...] = ()
        self._cursor = 0

    def show(self, choices: Sequence[Choice], chosen: Collection[str]) -> None:
        """Show these options, with those chosen checked."""
        self._choices = tuple(choices)
        self.chosen = tuple(choice.id for choice in self._choices if choice.id in chosen)
        self._cursor = min(self._cursor, max(len(self._choices) - 1, 0))
        if not self._several and self.chosen:
            self._cursor = [choice.id for choice in self._choices].index(self.chosen[0])
        self.refresh(layout=True)

    def render(self) -> Content:
        lines = [
            Content.assemble(*(part for index in line for part in self._draw(index)))
            for line in self._lay_out(self.size.width)
        ]
        return Content("\n").join(lines)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(len(self._lay_out(width)), 1)

    def _draw(self, index: int) -> tuple[Content | tuple[str, str], ...]:
        choice = self._choices[index]
        on = choice.id in self.chosen
        mark = ("☑" if on else "☐") if self._several else ("▸" if on else " ")
        at_cursor = self.has_focus and index == self._cursor
        style = "reverse" if at_cursor else "" if on else "$foreground 60%"
        return (f"{mark} {sanitize_line(choice.label)}", style), Content(" " * _GAP)

    def _lay_out(self, width: int) -> list[list[int]]:
        """The indices of the options, row by row."""
        lines: list[list[int]] = [[]]
        used = 0
        for index in range(len(self._choices)):
            needed = self._measure(index)
            if lines[-1] and used + needed > width:
                lines.append([])
                used = 0
            lines[-1].append(index)
            used += needed + _GAP
        return lines

    def _measure(self, index: int) -> int:
        return _MARK + cell_len(sanitize_line(self._choices[index].label))

    def action_move(self, step: int) -> None:
        if self._choices:
            self._cursor = (self._cursor + step) % len(self._choices)
            if not self._several:
                self._choose(self._cursor)
        self.refresh()

    def action_check(self) -> None:
        if self._choices:
            self._choose(self._cursor)

    def action_submit(self) -> None:
        self.post_message(self.ChoiceSubmitted())

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        lines = self._lay_out(self.size.width)
        left = 0
        for index in lines[event.y] if event.y < len(lines) else ():
            if left <= event.x < left + self._measure(index):
                self._cursor = index
                self._choose(index)
                return
            left += self._measure(index) + _GAP

    def _choose(self, index: int) -> None:
        id = self._choices[index].id
        if not self._several:
            chosen: Collection[str] = (id,)
        else:
            chosen = {*self.chosen} ^ {id}
        self.chosen = tuple(choice.id for choice in self._choices if choice.id in chosen)
        self.refresh()
        self.post_message(self.ChoiceMade(self, id))
