"""Picker: a list one types into, for prompts, models and files alike. Dismissed with a Picked, or with None."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content

from workbench import paths
from workbench.errors import FileError
from workbench.sanitize import sanitize
from workbench.tui.widgets.dialog import Dialog, is_open
from workbench.tui.widgets.editing import Input
from workbench.tui.widgets.packed_line import KeyHints
from workbench.tui.widgets.plain import Option, OptionList, plain_line


class PickerRow(NamedTuple):
    """A row: the id that is returned, its title, and a muted note. text: is searched too; the line found is shown."""

    id: str
    title: str
    note: str = ""
    text: str = ""


PickerCommand = Literal["browse", "connect", "adjust", "rename", "duplicate", "delete"]


class Picked(NamedTuple):
    """The chosen row and the command it was chosen with: `enter`, or one of the picker's own.

    With `path`, the id is the path of a file that was pasted.
    """

    id: str
    command: str = "enter"


class Picker(Dialog[Picked | None]):
    """Typing filters; up and down move; enter chooses."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "close", id="picker.leave"),
        Binding("up,ctrl+p", "move(-1)", "row above", show=False, priority=True, id="picker.up"),
        Binding("down,ctrl+n", "move(1)", "row below", show=False, priority=True, id="picker.down"),
        Binding("pageup", "move(-10)", "ten rows up", show=False, priority=True, id="picker.page_up"),
        Binding("pagedown", "move(10)", "ten rows down", show=False, priority=True, id="picker.page_down"),
        Binding("ctrl+o", "command('browse')", "browse files", priority=True, id="picker.browse"),
        Binding(
            "f7",
            "command('connect')",
            "server address",
            priority=True,
            id="picker.connect",
            tooltip="Type a server's address",
        ),
        Binding(
            "f4",
            "command('adjust')",
            "context, template, devices",
            priority=True,
            id="picker.adjust",
            tooltip="Context, template and devices of the model",
        ),
        Binding("f2", "command('rename')", "rename", priority=True, id="picker.rename"),
        Binding("f5", "command('duplicate')", "duplicate", priority=True, id="picker.duplicate"),
        Binding("f8", "command('delete')", "delete", priority=True, id="picker.delete"),
    ]

    PLACEHOLDER: ClassVar[str] = "type to search"

    options = getters.query_one(OptionList)

    def __init__(
        self,
        title: str,
        choices: Sequence[PickerRow],
        empty: str,
        commands: Sequence[PickerCommand] = (),
        current: str = "",
    ) -> None:
        """empty: what to say when there is nothing to choose. commands: what else can be done with a row.

        With the command `browse`, the path of a file can be pasted as well.
        """
        super().__init__()
        self._title, self._choices, self._empty, self._current = title, tuple(choices), empty, current
        self._commands = tuple(commands)
        self._pasted: Path | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall") as dialog:
            dialog.border_title = plain_line(self._title)
            yield Input(placeholder=self.PLACEHOLDER, compact=True)
            yield OptionList()
            yield KeyHints("enter select", *map(self._show_command, self._commands), "esc cancel")

    def _show_command(self, name: str) -> str:
        id = f"picker.{name}"
        binding = next(binding for _, binding in self._bindings if binding.id == id)
        key = self.app._keymap.get(id, binding.key).split(",")[0]
        return f"{self.app.get_key_display(binding.with_key(key))} {binding.description}"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        offered = action != "command" or parameters[0] in self._commands
        return offered and super().check_action(action, parameters)

    def on_mount(self) -> None:
        self._fill("")
        self.query_one(Input).focus()
        self.call_after_refresh(self._keep_height)

    def _keep_height(self) -> None:
        """As tall as all rows from now on: filtering does not move the dialog."""
        if is_open(self) and self.options.size.height:
            self.options.styles.height = self.options.outer_size.height

    def on_input_changed(self, event: Input.Changed) -> None:
        self._fill(event.value)

    def refill(self) -> None:
        """Show the rows again."""
        self._fill(self.query_one(Input).value)

    def find(self, words: Sequence[str]) -> list[PickerRow]:
        """The rows in which every word stands."""
        return [
            row for row in self._choices if all(word in f"{row.title} {row.note}\n{row.text}".lower() for word in words)
        ]

    def list_words(self, query: str) -> list[str]:
        """The words of a query of which a row shows where they stand."""
        return query.lower().split()

    def write_row(self, choice: PickerRow) -> Content:
        """A row as it is shown."""
        return Content.assemble(sanitize(choice.title), (f"  {sanitize(choice.note)}", "$foreground 60%"))

    def _fill(self, query: str) -> None:
        words = query.lower().split()
        found, shown = self.find(words), self.list_words(query)
        rows = [Option(self.write_row(_show_line(choice, shown)), id=choice.id) for choice in found]
        self._pasted = self._read_path(query) if not rows else None
        if self._pasted is not None:
            name, folder = sanitize(self._pasted.name), sanitize(str(self._pasted.parent))
            rows = [Option(Content.assemble(name, ("  open  ", "$accent"), (folder, "$foreground 60%")))]
        nothing = Option(Content(self._empty if not self._choices else "No matches."), disabled=True)
        self.options.set_options(rows or [nothing])
        if rows:
            positions = [index for index, choice in enumerate(found) if choice.id == self._current]
            self.options.highlighted = positions[0] if positions else 0

    def _read_path(self, query: str) -> Path | None:
        """The file or folder that was pasted instead of searching; None where nothing else can be opened."""
        if not query.strip() or "browse" not in self._commands:
            return None
        try:
            path = paths.working_folder() / paths.read_pasted(query)
        except FileError:
            return None
        return path if paths.exists(path) else None

    def action_move(self, rows: int) -> None:
        if self.options.highlighted is not None:
            self.options.highlighted = max(0, min(self.options.highlighted + rows, self.options.option_count - 1))

    def on_input_submitted(self) -> None:
        self._choose("enter")

    def on_option_list_option_selected(self) -> None:
        self._choose("enter")

    def action_command(self, name: str) -> None:
        self._choose(name)

    def _choose(self, command: str) -> None:
        if command == "enter" and self._pasted is not None:
            self.dismiss(Picked(str(self._pasted), "path"))
            return
        index = self.options.highlighted
        chosen = self.options.get_option_at_index(index).id if index is not None else None
        if chosen is not None:
            self.dismiss(Picked(chosen, command))
        elif command != "enter":
            self.dismiss(Picked("", command))


def _show_line(row: PickerRow, words: Sequence[str]) -> PickerRow:
    """The row with the line of its text that has the most words which are in neither title nor note."""
    missing = [word for word in words if word not in f"{row.title} {row.note}".lower()]
    lines = row.text.splitlines() if missing else []
    best = max(lines, key=lambda line: sum(word in line.lower() for word in missing), default="").strip()
    return row._replace(note=f"… {best}") if best else row
