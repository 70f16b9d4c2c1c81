"""FilePicker: textual-fspicker's dialog for opening a file, in which the names of files and folders are only text.

The library reads the path in its header as markup, and lets some errors of the file system end the app: a folder that
is gone, a time stamp past the year 9999, a name that is too long or is no pattern.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.worker import get_current_worker
from textual_fspicker import FileOpen, Filters
from textual_fspicker.base_dialog import Dialog as Frame
from textual_fspicker.base_dialog import InputBar
from textual_fspicker.file_dialog import FileFilter
from textual_fspicker.parts import CurrentDirectory, DirectoryNavigation
from textual_fspicker.parts.directory_navigation import DirectoryEntry
from textual_fspicker.safe_tests import is_dir, is_file
from textual_fspicker.suggest_path import SuggestPath

from workbench.sanitize import sanitize_line
from workbench.tui.widgets.dialog import Dialog, is_open
from workbench.tui.widgets.editing import Input
from workbench.tui.widgets.plain import Button, plain_line


class FilePicker(FileOpen, Dialog[Path | None]):  # styles come from the first base
    """Dismissed with the file that a person chose, or None."""

    ERROR_PERMISSION_ERROR = "This folder cannot be read"
    ERROR_NO_PATH = "No file can have this name"

    def __init__(self, folder: Path, title: str, suffixes: Sequence[str]) -> None:
        """folder: where one starts. suffixes: of the files that are listed at first, such as `.gguf`."""
        wanted = Filters(
            (" ".join(f"*{suffix}" for suffix in suffixes), lambda path: path.suffix.lower() in suffixes),
            ("all", lambda _path: True),
        )
        super().__init__(str(folder), title=title, filters=wanted)
        self._suggest_path = PathSuggester()

    def compose(self) -> ComposeResult:
        with Frame() as frame:
            frame.border_title = plain_line(self._title)
            yield FolderPath()
            with Horizontal():
                yield FolderList(self._location)
            with InputBar():
                yield Input(suggester=self._suggest_path)
                if self._filters:
                    yield FileFilter(self._filters.selections, prompt="File filter", value=0, allow_blank=False)
                yield Button("Open", id="select")
                yield Button("Cancel", id="cancel")

    def _set_error(self, message: str = "") -> None:
        for frame in self.query(Frame):  # none once the dialog was left
            frame.border_subtitle = plain_line(message)

    @on(Input.Submitted)
    @on(Button.Pressed, "#select")
    def _refuse(self, event: Input.Submitted | Button.Pressed) -> None:
        """Keep from the library what is no path; it asks the file system without a net."""
        typed = self.query_one(Input).value
        try:
            (self.query_one(DirectoryNavigation).location / typed).resolve().is_dir()
        except (OSError, RuntimeError, ValueError):  # too long or out of reach; a loop of links; a null character
            event.prevent_default().stop()
            self._set_error(self.ERROR_NO_PATH)


class FolderPath(CurrentDirectory):
    """The path in the header: its end, where it is too long."""

    def _watch_current_directory(self) -> None:
        path = Text(sanitize_line(str(self.current_directory or "")))
        if path.cell_len > self.size.width > 0:
            while path.cell_len > self.size.width - 1:
                path = path[1:]
            path = Text("…").append_text(path)
        self.update(path)


class FolderEntry(DirectoryEntry):
    """A row of the list: one row, whatever the name holds."""

    @classmethod
    def _name(cls, location: Path) -> Text:
        name = super()._name(location)
        return Text(sanitize_line(name.plain))

    @staticmethod
    def _mtime(location: Path) -> str:
        try:
            return DirectoryEntry._mtime(location)
        except (OSError, OverflowError, ValueError):  # gone meanwhile; past the last year that Python writes
            return ""


class FolderList(DirectoryNavigation):
    """What is in the folder."""

    @work(exclusive=True, thread=True)
    def _load(self) -> None:
        self._entries = []
        worker, styles, folder = get_current_worker(), self._styles, self._location
        found: list[DirectoryEntry] = []
        try:
            for path in folder.iterdir():
                if worker.is_cancelled:
                    return
                if is_dir(path) or is_file(path):
                    found.append(FolderEntry(path, styles))
        except OSError:  # of any kind: gone, no folder, not ours
            self.post_message(self.PermissionError(self, folder))
        self.app.call_from_thread(self._take, folder, found)

    def _take(self, folder: Path, found: list[DirectoryEntry]) -> None:
        if self.is_attached and is_open(self.screen) and folder == self._location:
            self._entries = found
            self._repopulate_display()


class PathSuggester(SuggestPath):
    """Completes a path, or does not."""

    async def get_suggestion(self, value: str) -> str | None:
        try:
            return await super().get_suggestion(value)
        except (OSError, ValueError):  # a name that is too long; `**` inside a name, which is no pattern
            return None
