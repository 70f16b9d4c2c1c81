"""Library: the prompts in a folder, over a shipped set of prompts that is never written to.

Knows names, files and the trash; not how a prompt file is written (formats/), nor what a prompt is run on. A name
such as `queues/few-shot` is the path in the folder without its suffix.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from workbench import files, paths
from workbench.errors import FileChangedError, PromptError, WorkbenchError
from workbench.library import name as names
from workbench.library.formats import prompty
from workbench.library.opened import OpenPrompt as OpenPrompt
from workbench.library.opened import is_changed, open_prompt, would_lose, write_prompt
from workbench.library.trash import Trash
from workbench.prompting.prompt import Prompt


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One prompt in the list. problem: why it cannot be opened; empty when it can."""

    name: str
    path: Path
    description: str
    read_only: bool
    problem: str = ""


class Library:
    """The prompts of `folder`, and those of `shipped` whose names `folder` does not have.

    Methods raise PromptError for a prompt or a name that cannot be used, and FileError for a file.
    trash: where deleted prompts go. clock: the time of a deletion.
    """

    def __init__(
        self,
        folder: Path,
        shipped: Path | None = None,
        trash: Path | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.folder = folder
        self.shipped = shipped if shipped and shipped.resolve() != folder.resolve() else None
        self.trash = Trash(trash or paths.data_folder() / "trash", clock)
        self._seen: dict[Path, tuple[tuple[int, int], Entry, str]] = {}

    def entries(self, query: str = "") -> tuple[Entry, ...]:
        """The prompts by name; with a query, those that have all its words in name, description or text."""
        found: dict[str, tuple[Entry, str]] = {}
        for folder in filter(None, (self.shipped, self.folder)):
            for path in _find_files(folder, self.trash.folder):
                entry, text = self._describe(path, folder)
                found[entry.name] = (entry, text)
        words = query.casefold().split()
        return tuple(entry for _, (entry, text) in sorted(found.items()) if all(word in text for word in words))

    def open(self, name: str) -> OpenPrompt:
        """The prompt of that name, with its examples."""
        for folder in filter(None, (self.folder, self.shipped)):
            path = names.find_path(folder, name)
            if path.is_file():
                return open_prompt(path, name, read_only=folder is self.shipped)
        known = ", ".join(names.find_near(name, [entry.name for entry in self.entries()]))
        hint = f"Did you mean {known}?" if known else "`workbench prompts` lists the library."
        raise PromptError(f"There is no prompt `{name}` in {self.folder}.", hint)

    def save(self, opened: OpenPrompt, prompt: Prompt, force: bool = False) -> OpenPrompt:
        """Write an opened prompt back, in its edited form; a read-only one as a copy in the own folder.

        Raises FileChangedError, with nothing written, when that would write over a change that was made since it
        was opened; force writes over it. The examples file is written only when the examples were edited.
        """
        name = opened.prompt.name
        path = names.find_path(self.folder, name) if opened.read_only else opened.path
        if not force and would_lose(opened, prompt, path):
            raise FileChangedError(
                f"{path} or its examples were changed by another program since the prompt was opened.",
                "Reload it to see the other version, save under another name, or write over it.",
            )
        return write_prompt(path, replace(prompt, name=name), opened, force)

    def save_as(self, prompt: Prompt, name: str, source: OpenPrompt | None = None) -> OpenPrompt:
        """Write a prompt under a new name; the comments and unknown keys of `source` go with it."""
        path = self._find_free(name)
        origin = source or OpenPrompt(Prompt(name, ""), path, digest="", source="", read_only=False)
        if origin.path == path:  # it was there, and is gone
            origin = replace(origin, digest="")
        return write_prompt(path, replace(prompt, name=name), origin, force=False)

    def duplicate(self, name: str, new: str) -> OpenPrompt:
        """Copy a prompt to a new name, byte for byte."""
        opened = self.open(name)
        return self.save_as(opened.prompt, new, opened)

    def rename(self, name: str, new: str) -> Path:
        """Give a prompt another name, and with it perhaps another folder, to which its examples are copied."""
        old = self._find_own(name)
        path = self._find_free(new)
        if path.parent == old.parent:
            files.move(old, path)
        else:
            self.duplicate(name, new)
            files.remove(old)
        return path

    def delete(self, name: str) -> Path:
        """Move a prompt to the trash; where it is now. Its examples file stays, for others may use it."""
        return self.trash.put(self._find_own(name), f"{name}{names.SUFFIX}")

    def restore(self, trashed: Path) -> str:
        """Bring a prompt back from the trash, under the name it had; that name."""
        name = self.trash.name(trashed).removesuffix(names.SUFFIX)
        files.move(trashed, self._find_free(name))
        return name

    def changed(self, opened: OpenPrompt) -> bool:
        """Whether another program changed or removed a file of this prompt since it was opened."""
        return is_changed(opened)

    def _find_own(self, name: str) -> Path:
        path = names.find_path(self.folder, name)
        if path.is_file():
            return path
        opened = self.open(name)
        raise PromptError(f"`{name}` is shipped with the workbench and stays as it is: {opened.path}.", "Copy it.")

    def _find_free(self, name: str) -> Path:
        path = names.find_path(self.folder, name)
        if paths.exists(path):
            raise PromptError(f"There is already a prompt `{name}`: {path}.", "Choose another name.")
        return path

    def _describe(self, path: Path, folder: Path) -> tuple[Entry, str]:
        """The entry of a file and the text it is found by; files that have not changed are not read again."""
        status = path.stat() if paths.exists(path) else None
        stamp = (status.st_mtime_ns, status.st_size) if status else (0, 0)
        if path in self._seen and self._seen[path][0] == stamp:
            return self._seen[path][1:]
        name = path.relative_to(folder).as_posix().removesuffix(names.SUFFIX)
        entry = Entry(name, path, "", folder is self.shipped)
        text = ""
        try:
            text = files.read_text(path)
            entry = replace(entry, description=prompty.load(text, name, path).prompt.description)
        except WorkbenchError as error:
            entry = replace(entry, problem=error.message)
        words = f"{name}\n{text}".casefold()
        self._seen[path] = (stamp, entry, words)
        return entry, words


def _find_files(folder: Path, trash: Path) -> Iterator[Path]:
    """The prompt files below a folder, which may be a whole project: what is not its own is not searched."""
    for place, inner, found in os.walk(folder):
        here = Path(place)
        inner[:] = [name for name in inner if not _is_foreign(here / name, trash)]
        paths_here = [here / name for name in found if name.endswith(names.SUFFIX) and not name.startswith(".")]
        for path in paths_here:
            if path.is_file() and paths.resolve(path).is_relative_to(paths.resolve(folder)):
                yield path


def _is_foreign(folder: Path, trash: Path) -> bool:
    hidden = folder.name.startswith(".") or folder.name in ("node_modules", "__pycache__")
    return hidden or folder == trash or (folder / "pyvenv.cfg").exists()
