"""Picker: a list one types into, for prompts, models and files alike. Dismissed with a Picked, or with None."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content

from workbench.sanitize import sanitize
from workbench.tui.widgets.dialog import Dialog
from workbench.tui.widgets.editing import Input
from workbench.tui.widgets.plain import Label, Option, OptionList, plain_line


class Choice(NamedTuple):
    """A row: what is handed back, what stands first, what stands muted beside it."""

    id: str
    title: str
    note: str = ""


class Picked(NamedTuple):
    """The chosen row and the key it was chosen with: `enter`, or one of the picker's own."""

    id: str
    wish: str = "enter"


class Picker(Dialog[Picked | None]):
    """Typing filters; up and down move; enter chooses."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "leave", id="picker.leave"),
        Binding("up", "move(-1)", show=False, priority=True, id="picker.up"),
        Binding("down", "move(1)", show=False, priority=True, id="picker.down"),
        Binding("pageup", "move(-10)", show=False, priority=True, id="picker.page_up"),
        Binding("pagedown", "move(10)", show=False, priority=True, id="picker.page_down"),
    ]

    options = getters.query_one(OptionList)

    def __init__(
        self,
        title: str,
        choices: Sequence[Choice],
        empty: str,
        wishes: Sequence[tuple[str, str, str]] = (),
        current: str = "",
    ) -> None:
        """empty: what to say when there is nothing to choose. wishes: key, name and label of further actions."""
        super().__init__()
        self._title, self._choices, self._empty, self._current = title, tuple(choices), empty, current
        self._wishes = tuple(wishes)

    def compose(self) -> ComposeResult:
        keys = "  ".join(("enter choose", *(f"{_spell(key)} {label}" for key, _, label in self._wishes), "esc leave"))
        with Vertical(classes="dialog -tall") as dialog:
            dialog.border_title = plain_line(self._title)
            yield Input(placeholder="type to search", compact=True)
            yield OptionList()
            yield Label(keys, classes="muted")

    def on_mount(self) -> None:
        for key, name, label in self._wishes:
            self._bindings.bind(key, f"wish('{name}')", label, priority=True)
        self._fill("")
        self.query_one(Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._fill(event.value)

    def _fill(self, query: str) -> None:
        words = query.lower().split()
        found = [
            choice for choice in self._choices if all(word in f"{choice.title} {choice.note}".lower() for word in words)
        ]
        rows = [
            Option(
                Content.assemble(sanitize(choice.title), (f"  {sanitize(choice.note)}", "$foreground 60%")),
                id=choice.id,
            )
            for choice in found
        ]
        nothing = Option(Content(self._empty if not self._choices else "Nothing matches."), disabled=True)
        self.options.set_options(rows or [nothing])
        if rows:
            positions = [index for index, choice in enumerate(found) if choice.id == self._current]
            self.options.highlighted = positions[0] if positions else 0

    def action_move(self, rows: int) -> None:
        if self.options.highlighted is not None:
            self.options.highlighted = max(0, min(self.options.highlighted + rows, self.options.option_count - 1))

    def on_input_submitted(self) -> None:
        self._choose("enter")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(Picked(str(event.option.id)))

    def action_wish(self, name: str) -> None:
        self._choose(name)

    def _choose(self, wish: str) -> None:
        index = self.options.highlighted
        chosen = self.options.get_option_at_index(index).id if index is not None else None
        if chosen is not None:
            self.dismiss(Picked(chosen, wish))
        elif wish != "enter":
            self.dismiss(Picked("", wish))


def _spell(key: str) -> str:
    return key.replace("ctrl+", "^")
