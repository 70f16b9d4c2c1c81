"""The prompts in a folder, over further folders and a shipped set of prompts that are never written to from there.

A name such as `queues/few-shot` is the path in the folder without its suffix.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import replace

from workbench import files, paths
from workbench.errors import FileChangedError, FileError, PromptError, WorkbenchError
from workbench.library import names as names
from workbench.library.formats import prompty
from workbench.library.open_prompt import OpenPrompt as OpenPrompt
from workbench.library.open_prompt import is_changed, open_prompt, would_lose, write_prompt
from workbench.library.pane_versions import PaneVersions
from workbench.library.prompt_renames import PromptRenames
from workbench.library.trash import PromptTrash
from workbench.prompting.prompt import Prompt

Origin = Literal["own", "shared", "shipped"]
"""own: the library's folder; shared: another folder of the user's; shipped: part of the workbench"""


class PromptEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One prompt in the list. read_only: it is not in the library's own folder, and saving it makes a copy there.
    problem: why it cannot be opened; empty when it can. text: the whole file. origin: whose folder it is in. tags: of
    its front matter, `metadata.tags`."""

    name: str
    path: Path
    description: str
    read_only: bool
    problem: str = ""
    text: str = ""
    origin: Origin = "own"
    tags: tuple[str, ...] = ()


class Library:
    """The prompts of `folder`, then those of `shared` and of `shipped` whose names no folder before has.

    Methods raise PromptError for a prompt or a name that cannot be used, and FileError for a file.
    trash: where deleted prompts go. renames: where renamings are remembered, panes: versions that were run in a pane.
    clock: the time of all.
    """

    def __init__(
        self,
        folder: Path,
        shipped: Path | None = None,
        trash: Path | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        shared: Sequence[Path] = (),
        renames: Path | None = None,
        panes: Path | None = None,
    ) -> None:
        self.folder = folder
        self.shipped = shipped if shipped and shipped.resolve() != folder.resolve() else None
        taken = {folder.resolve(), *((shipped.resolve(),) if shipped else ())}
        self.shared = tuple({path.resolve(): path for path in shared if path.resolve() not in taken}.values())
        self.trash = PromptTrash(trash or paths.data_folder() / "trash", clock)
        self.renames = PromptRenames(renames or paths.data_folder() / "prompt_renames.jsonl", clock)
        self.panes = PaneVersions(panes or paths.data_folder() / "pane_versions.jsonl", clock)
        self._seen: dict[Path, tuple[tuple[int, int], PromptEntry]] = {}

    def entries(self) -> tuple[PromptEntry, ...]:
        """The prompts by name."""
        found: dict[str, PromptEntry] = {}
        for folder, origin in reversed(self.folders):
            for path in _find_files(folder, self.trash.folder):
                entry = self._describe(path, folder, origin)
                found[entry.name] = entry
        return tuple(entry for _, entry in sorted(found.items()))

    def own_files(self) -> Iterator[Path]:
        """The files of the prompts in its own folder, which can be changed."""
        return _find_files(self.folder, self.trash.folder)

    @property
    def folders(self) -> tuple[tuple[Path, Origin], ...]:
        """Where a name is looked up, in this order."""
        shared: list[tuple[Path, Origin]] = [(folder, "shared") for folder in self.shared]
        shipped: list[tuple[Path, Origin]] = [(self.shipped, "shipped")] if self.shipped else []
        return ((self.folder, "own"), *shared, *shipped)

    def find(self, name: str) -> tuple[Path, Origin] | None:
        """The file that a name stands for; None where no folder has one."""
        for folder, origin in self.folders:
            path = names.find_path(folder, name)
            if path.is_file():
                return path, origin
        return None

    def find_folder(self, name: str) -> Path:
        """The folder that a name is found in; its own where none has it."""
        found = self.find(name)
        return next((folder for folder, origin in self.folders if found and origin == found[1]
                     and found[0].is_relative_to(folder)), self.folder)  # fmt: skip

    def note_pane_run(self, prompt: Prompt) -> None:
        """Keep a version that was run in a pane."""
        self.panes.note(self.find_folder(prompt.name), prompt)

    def open(self, name: str) -> OpenPrompt:
        """The prompt of that name, with its examples."""
        found = self.find(name)
        if found is not None:
            return open_prompt(found[0], name, read_only=found[1] != "own")
        if renamed := self._find_renamed(name):
            raise PromptError(
                f"No such prompt: `{name}` in {self.folder}; it was renamed to `{renamed}`.",
                "Put the new name into the bench or recipe.",
            )
        known = ", ".join(names.find_near(name, [entry.name for entry in self.entries()]))
        hint = f"Did you mean {known}?" if known else "`workbench prompts` lists the library."
        raise PromptError(f"No such prompt: `{name}` in {self.folder}.", hint)

    def _find_renamed(self, name: str) -> str:
        """What a prompt that is no longer there is called now; "" where it was not renamed, or is gone since."""
        try:
            renamed = self.renames.follow(self.folder, name)
        except FileError:
            return ""
        return renamed if renamed != name and self.find(renamed) is not None else ""

    def save(self, opened: OpenPrompt, prompt: Prompt, force: bool = False) -> OpenPrompt:
        """Write an opened prompt back, in its edited form; a read-only one as a copy in the own folder.

        Raises FileChangedError, with nothing written, when that would write over a change that was made since it
        was opened; force writes over it. The examples file is written only when the examples were edited.
        """
        name = opened.prompt.name
        copy = names.make_path(self.folder, name, names.get_suffix(opened.path))
        path = copy if opened.read_only else opened.path
        if not force and would_lose(opened, prompt, path):
            raise FileChangedError(
                f"{path} or its examples were changed by another program since the prompt was opened.",
                "Reload it to see the other version, save under another name, or write over it.",
            )
        return write_prompt(path, replace(prompt, name=name), opened, force)

    def save_as(self, prompt: Prompt, name: str, source: OpenPrompt | None = None) -> OpenPrompt:
        """Write a prompt under a new name; the comments and unknown keys of `source` go with it."""
        path = self._find_free(name, names.get_suffix(source.path) if source and not prompt.body else names.SUFFIX)
        origin = source or OpenPrompt(Prompt(name, ""), path, digest="", source="", read_only=False)
        if origin.path == path:  # it was there, and is gone
            origin = replace(origin, digest="")
        return write_prompt(path, replace(prompt, name=name), origin, force=False)

    def duplicate(self, name: str, new: str) -> OpenPrompt:
        """Copy a prompt to a new name, byte for byte."""
        opened = self.open(name)
        return self.save_as(opened.prompt, new, opened)

    def rename(self, name: str, new: str, update: Callable[[], None] = lambda: None) -> Path:
        """Give a prompt another name, and with it perhaps another folder, to which its examples go too; its new file.

        update: called while there are both files, to change what names the prompt. What it raises undoes the renaming.
        """
        old, path = self.check_rename(name, new)
        examples = self.find_own_examples(name) if path.parent != old.parent else None
        before = set(path.parent.glob("*"))
        if path.parent == old.parent:
            files.copy(old, path)
        else:
            self.duplicate(name, new)
        try:
            update()
        except BaseException:
            for made in set(path.parent.glob("*")) - before:
                files.remove(made)
            raise
        for gone in filter(None, (old, examples)):
            files.remove(gone)
        self.renames.note(self.folder, name, new)
        return path

    def check_rename(self, name: str, new: str) -> tuple[Path, Path]:
        """The file of a prompt and the one it would have. Raises PromptError where it cannot be renamed so."""
        path = self._find_own(name)
        return path, self._find_free(new, names.get_suffix(path))

    def find_examples(self, name: str) -> Path | None:
        """The examples file of a prompt; None where there is none, or the prompt cannot be read."""
        try:
            return open_prompt(self._find_own(name), name, read_only=True).examples_path
        except WorkbenchError:
            return None

    def find_own_examples(self, name: str) -> Path | None:
        """The examples file of a prompt that no other prompt of its folder has; None where there is none.

        Prompts that cannot be read may have it too: then it is theirs.
        """
        path, examples = self._find_own(name), self.find_examples(name)
        try:
            files_here = (other for suffix in names.SUFFIXES for other in path.parent.glob(f"*{suffix}"))
            others = [other for other in files_here if other != path]
            shared = examples in [open_prompt(other, name, read_only=True).examples_path for other in others]
        except WorkbenchError:
            return None
        return None if shared else examples

    def delete(self, name: str) -> Path:
        """Move a prompt to the trash; where it is now. Its examples file stays, for others may use it."""
        path = self._find_own(name)
        return self.trash.put(path, f"{name}{names.get_suffix(path)}")

    def restore(self, trashed: Path) -> str:
        """Bring a prompt back from the trash, under the name it had; that name."""
        kept = self.trash.name(trashed)
        name = names.strip_suffix(kept)
        files.move(trashed, self._find_free(name, names.get_suffix(Path(kept))))
        return name

    def changed(self, opened: OpenPrompt) -> bool:
        """Whether another program changed or removed a file of this prompt since it was opened."""
        return is_changed(opened)

    def _find_own(self, name: str) -> Path:
        path = names.find_path(self.folder, name)
        if path.is_file():
            return path
        opened = self.open(name)
        shipped = self.shipped is not None and opened.path.is_relative_to(self.shipped)
        whose = "is shipped with the workbench and read-only" if shipped else "is in another folder and read-only here"
        raise PromptError(f"`{name}` {whose}: {opened.path}.", "Copy it.")

    def _find_free(self, name: str, suffix: str = names.SUFFIX) -> Path:
        for path in (names.make_path(self.folder, name, one) for one in names.SUFFIXES):
            if paths.exists(path):
                raise PromptError(f"The prompt `{name}` already exists: {path}.", "Choose another name.")
        return names.make_path(self.folder, name, suffix)

    def _describe(self, path: Path, folder: Path, origin: Origin) -> PromptEntry:
        """The entry of a file; files that have not changed are not read again."""
        status = path.stat() if paths.exists(path) else None
        stamp = (status.st_mtime_ns, status.st_size) if status else (0, 0)
        if path in self._seen and self._seen[path][0] == stamp:
            return self._seen[path][1]
        name = names.strip_suffix(path.relative_to(folder).as_posix())
        entry = PromptEntry(name, path, "", origin != "own", origin=origin)
        try:
            entry = replace(entry, text=files.read_text(path))
            loaded = prompty.load(entry.text, name, path)
            entry = replace(entry, description=loaded.prompt.description, tags=loaded.tags)
        except WorkbenchError as error:
            entry = replace(entry, problem=error.message)
        self._seen[path] = (stamp, entry)
        return entry


def _find_files(folder: Path, trash: Path) -> Iterator[Path]:
    """The prompt files below a folder, which may be a whole project: what is not its own is not searched."""
    for path_here, inner, found in os.walk(folder):
        here = Path(path_here)
        inner[:] = [name for name in inner if here / name != trash and not is_foreign(here / name)]
        paths_here = [here / name for name in found if name.endswith(names.SUFFIXES) and not name.startswith(".")]
        for path in paths_here:
            if path.is_file() and paths.resolve(path).is_relative_to(paths.resolve(folder)):
                yield path


def is_foreign(folder: Path) -> bool:
    """Whether what lies in a folder is hidden, or was installed, and is no part of a project."""
    hidden = folder.name.startswith(".") or folder.name in ("node_modules", "__pycache__")
    return hidden or (folder / "pyvenv.cfg").exists()
