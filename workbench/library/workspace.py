"""Workspace: the prompts a person has open, with what they changed and have not saved yet.

Every unsaved text is kept as a draft, so a crash loses none of it; a draft remembers the file it was made on, so a
recovered edit never overwrites what changed meanwhile. Knows nothing of benches or screens.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from workbench.errors import PromptError, WorkbenchError
from workbench.library.drafts import Drafts
from workbench.library.library import Library, OpenPrompt
from workbench.prompting.prompt import Prompt


class Unsaved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An edit that was not saved, and the fingerprint of the prompt file that it was made on."""

    digest: str
    prompt: Prompt


class Workspace:
    """Open prompts by name."""

    def __init__(self, library: Library, drafts: Drafts) -> None:
        self.library = library
        self.drafts = drafts
        self._opened: dict[str, OpenPrompt] = {}
        self._edited: dict[str, Prompt] = {}
        self._new: set[str] = set()

    def prompt(self, name: str) -> Prompt:
        """The prompt as it now reads, edits included. Raises PromptError or FileError when it cannot be opened."""
        return self._edited[name] if name in self._edited else self._open(name).prompt

    @property
    def edited(self) -> tuple[str, ...]:
        """Prompts with unsaved changes."""
        return tuple(self._edited)

    def edit(self, name: str, prompt: Prompt) -> None:
        """Take a new version of a prompt; one that equals the file again is no edit any more."""
        opened = self._opened.get(name)
        if opened and opened.prompt == prompt:
            self._settle(name)
            return
        self._edited[name] = prompt
        draft = Unsaved(opened.digest if opened else "", prompt)
        self.drafts.keep(self._key(name), msgspec.json.encode(draft).decode())

    def create(self, name: str, prompt: Prompt) -> None:
        """Begin a prompt that is in no file yet."""
        self._new.add(name)
        self.edit(name, msgspec.structs.replace(prompt, name=name))

    def save(self, name: str, force: bool = False) -> None:
        """Write an edited prompt. Raises FileChangedError when another program changed its file; force overwrites."""
        if name not in self._edited:
            return
        prompt = self._edited[name]
        if name in self._new:
            self._opened[name] = self.library.save_as(prompt, name)
            self._new.discard(name)
        else:
            self._opened[name] = self.library.save(self._open(name), prompt, force=force)
        self._settle(name)
        self._reopen_siblings()

    def save_as(self, name: str, new: str) -> None:
        """Write a prompt, edits included, under another name; what was under the old one stays as it is."""
        self._opened[new] = self.library.save_as(self.prompt(name), new, self._opened.get(name))

    def rename(self, name: str, new: str) -> None:
        """Rename a prompt of the library; unsaved edits follow."""
        self.library.rename(name, new)
        self._opened.pop(name, None)
        edited = self._edited.get(name)
        if edited is not None:
            self._settle(name)
            self._open(new)
            self.edit(new, msgspec.structs.replace(edited, name=new))

    def revert(self, name: str) -> None:
        """Forget what was typed and read the file anew."""
        self._settle(name)
        self._opened.pop(name, None)
        self._new.discard(name)

    def revert_all(self) -> None:
        """Forget every unsaved edit: a person chose to leave without saving."""
        for name in self.edited:
            self._settle(name)

    def changed_outside(self) -> tuple[str, ...]:
        """Open prompts whose file another program changed."""
        return tuple(name for name, opened in tuple(self._opened.items()) if self.library.changed(opened))

    def recover(self, names: Iterable[str]) -> tuple[WorkbenchError, ...]:
        """Take up what an earlier session left unsaved for these prompts; the drafts that cannot be read."""
        problems = []
        for name in dict.fromkeys(names):
            try:
                self._recover(name)
            except WorkbenchError as error:
                problems.append(error)
        return tuple(problems)

    def _recover(self, name: str) -> None:
        text = self.drafts.find(self._key(name))
        if text is None:
            return
        try:
            draft = msgspec.json.decode(text, type=Unsaved)
        except msgspec.DecodeError as error:
            raise PromptError(
                f"The unsaved edit of `{name}` cannot be read: {error}.", f"It is kept in {self.drafts.folder}."
            ) from error
        try:
            opened = self._open(name)
        except WorkbenchError:
            self._new.add(name)
        else:
            if opened.prompt == draft.prompt:
                return
            self._opened[name] = msgspec.structs.replace(opened, digest=draft.digest)
        self._edited[name] = draft.prompt

    def _open(self, name: str) -> OpenPrompt:
        if name not in self._opened:
            self._opened[name] = self.library.open(name)
        return self._opened[name]

    def _settle(self, name: str) -> None:
        self._edited.pop(name, None)
        self.drafts.drop(self._key(name))

    def _reopen_siblings(self) -> None:
        """Prompts may share an examples file: our own save of it is no change by another program."""
        for name in self.changed_outside():
            if name not in self._edited:
                del self._opened[name]

    def _key(self, name: str) -> str:
        return f"{self.library.folder}:{name}"
