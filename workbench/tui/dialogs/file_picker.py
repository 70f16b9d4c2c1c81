"""FilePicker: a file to open. Typing filters the names, tab completes, a pasted path works, recents are on top.

Names of files are data: they are shown as they are, and nothing that the file system says ends the app.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content

from workbench import paths
from workbench.errors import FileError
from workbench.sanitize import sanitize_line
from workbench.tui.folder_listing import Entry, complete, filter_entries, fits, is_folder, list_folder, read_typed
from workbench.tui.widgets.dialog import Dialog, is_open
from workbench.tui.widgets.editing import Input
from workbench.tui.widgets.plain import Label, Option, OptionList, plain, plain_line
from workbench.units import format_bytes, format_date

_MOST_ROWS = 500
_MOST_RECENT = 5


class FilePicker(Dialog[Path | None]):
    """Dismissed with the chosen file, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "close", id="files.leave"),
        Binding("up,ctrl+p", "move(-1)", "row above", show=False, priority=True, id="files.up"),
        Binding("down,ctrl+n", "move(1)", "row below", show=False, priority=True, id="files.down"),
        Binding("pageup", "move(-10)", "ten rows up", show=False, priority=True, id="files.page_up"),
        Binding("pagedown", "move(10)", "ten rows down", show=False, priority=True, id="files.page_down"),
        Binding("tab", "complete", "complete the name", show=False, priority=True, id="files.complete"),
        Binding("shift+tab", "parent", "parent folder", show=False, priority=True, id="files.parent"),
    ]

    line = getters.query_one(Input)
    rows = getters.query_one(OptionList)

    def __init__(self, folder: Path, title: str, suffixes: Sequence[str], recent: Sequence[Path] = ()) -> None:
        """folder: where one starts. suffixes: of the files that come first, such as `.gguf`. recent: opened before."""
        super().__init__()
        self._title, self._suffixes = title, tuple(suffixes)
        self._recent = tuple(recent[:_MOST_RECENT])
        self.folder = folder.absolute()
        """whose entries are listed"""
        self.shown: list[Entry] = []
        """the entries as they are listed"""
        self._listed: str | None = None  # the text that they are listed for
        self._listed_folder = self.folder

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall", id="file-picker") as dialog:
            dialog.border_title = plain_line(self._title)
            yield Input(placeholder="type to filter, or paste a path", compact=True)
            yield Label(id="file-folder", classes="muted")
            yield OptionList()
            yield Label(id="file-problem")
            yield Label("enter open   tab complete   shift+tab parent folder   esc cancel", classes="muted")

    def on_mount(self) -> None:
        self.line.focus()
        self._look()

    def on_resize(self) -> None:
        if self.is_mounted:
            self._show_folder()

    # --- what is listed ------------------------------------------------------------------------------------------

    def on_input_changed(self) -> None:
        self._look()

    def _look(self) -> None:
        self.run_worker(self._list(self.line.value), group="list", exclusive=True)

    async def _list(self, text: str) -> None:
        """Show what fits the text: in this folder, or in the one that it names."""
        try:
            typed = await asyncio.to_thread(read_typed, text, self.folder)
            entries = await asyncio.to_thread(list_folder, typed.folder)
        except FileError as error:
            if is_open(self):
                self._listed = text
                self._show([], error.message)
            return
        if not is_open(self):
            return
        self._listed, self._listed_folder = text, typed.folder
        found = filter_entries(entries, typed.words, self._suffixes)
        recent = [Entry(path, False) for path in self._recent] if not text.strip() else []
        problem = "" if found or recent else "No matches." if entries else "This folder is empty."
        self._show([*recent, *found], problem, len(recent))

    def _show(self, found: list[Entry], problem: str, recent: int = 0) -> None:
        self.shown = found[:_MOST_ROWS]
        self.rows.set_options([Option(self._write(entry, at < recent)) for at, entry in enumerate(self.shown)])
        if self.shown:
            self.rows.highlighted = 0
        left = len(found) - len(self.shown)
        self._show_problem(problem or (f"{left:,} more; type to narrow." if left else ""))
        self._show_folder()

    def _write(self, entry: Entry, recent: bool) -> Content:
        if recent:
            return Content.assemble(
                sanitize_line(entry.path.name),
                (f"  {sanitize_line(str(entry.path.parent))}  recent", "$foreground 60%"),
            )
        if entry.is_folder:
            return Content.assemble((sanitize_line(entry.name), "$primary"))
        note = f"  {format_bytes(entry.size)}  {_write_date(entry.modified)}"
        tone = "" if fits(entry.path, self._suffixes) else "$foreground 60%"
        return Content.assemble((sanitize_line(entry.name), tone), (note, "$foreground 60%"))

    def _show_folder(self) -> None:
        """The path of the folder: its end, where it is too long."""
        path, width = plain_line(str(self._listed_folder)), self.query_one("#file-folder").size.width
        if path.cell_length > width > 1:
            while path.cell_length > width - 1:
                path = path[1:]
            path = Content.assemble("…", path)
        self.query_one("#file-folder", Label).update(path)

    def _show_problem(self, problem: str) -> None:
        self.query_one("#file-problem", Label).update(plain(problem))

    # --- what is chosen ------------------------------------------------------------------------------------------

    def action_move(self, rows: int) -> None:
        if self.rows.highlighted is not None:
            self.rows.highlighted = max(0, min(self.rows.highlighted + rows, self.rows.option_count - 1))

    def action_complete(self) -> None:
        """As far as all names that begin so agree; the highlighted one where none does."""
        self.run_worker(self._complete(self.line.value), group="complete", exclusive=True)

    async def _complete(self, text: str) -> None:
        try:
            typed = await asyncio.to_thread(read_typed, text, self.folder)
            entries = await asyncio.to_thread(list_folder, typed.folder)
        except FileError:
            return
        if not is_open(self) or self.line.value != text:
            return
        ending = complete(filter_entries(entries, typed.words, self._suffixes), typed.words) if typed.words else ""
        if len(ending) <= len(typed.words) and self.rows.highlighted is not None and self.shown:
            ending = self.shown[self.rows.highlighted].name
        if ending:
            begun = "" if typed.folder == self.folder else f"{str(typed.folder).rstrip('/')}/"
            self.line.value = begun + ending
            self.line.action_end()

    def action_parent(self) -> None:
        self._enter(self.folder.parent)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self._choose(self.shown[event.option_index])

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.run_worker(self._submit(event.value), group="submit", exclusive=True)

    async def _submit(self, text: str) -> None:
        """The file that the text names, else the highlighted row, as it is once the text's rows are there."""
        try:
            typed = await asyncio.to_thread(read_typed, text, self.folder)
            names_file, names_folder = await asyncio.to_thread(_look_up, typed.path)
        except FileError as error:
            self._show_problem(error.message)
            return
        if not is_open(self):
            return
        if text.strip() and names_file:
            self.dismiss(typed.path)
            return
        if text.strip() and names_folder:
            self._enter(typed.folder / typed.words)
            return
        if self._listed != text:
            await self._list(text)
        if not is_open(self):
            return
        if self.shown and self.rows.highlighted is not None:
            self._choose(self.shown[self.rows.highlighted])
        elif text.strip():
            self._show_problem(f"No such file: {typed.path}.")

    def _choose(self, entry: Entry) -> None:
        if entry.is_folder:
            self._enter(entry.path)
        else:
            self.dismiss(entry.path)

    def _enter(self, folder: Path) -> None:
        self.folder, self._recent, self._listed = folder, (), None
        if self.line.value:
            self.line.value = ""  # which lists the folder
        else:
            self._look()


def _look_up(path: Path) -> tuple[bool, bool]:
    """Whether there is such a file, and whether there is such a folder."""
    return paths.exists(path) and path.is_file(), is_folder(path)


def _write_date(seconds: float) -> str:
    try:
        return format_date(seconds)
    except (OSError, OverflowError, ValueError):  # past the last year that Python writes
        return ""
