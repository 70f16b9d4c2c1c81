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
from workbench.prompting.prompt import Example, Prompt

_EXAMPLE = "example:"
"""Begins the key of the draft of an example; that of a prompt begins with its library's folder."""


class Unsaved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An edit that was not saved, and the fingerprint of the prompt file that it was made on."""

    digest: str
    prompt: Prompt


class Workspace:
    """Open prompts by name.

    recovered_from: when the last of what was recovered was kept, in seconds since the epoch; 0 where nothing was.
    """

    def __init__(self, library: Library, drafts: Drafts) -> None:
        self.library = library
        self.drafts = drafts
        self._opened: dict[str, OpenPrompt] = {}
        self._edited: dict[str, Prompt] = {}
        self._new: set[str] = set()
        self.recovered_from = 0.0

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
        self.drafts.keep(self._key(name), Unsaved(opened.digest if opened else "", prompt))

    def put_example(self, name: str, example: Example) -> None:
        """Take an example in place of the one with its id, or as the last; the first of a chat prompt makes turns."""
        known = self.prompt(name).examples
        if any(one.id == example.id for one in known):
            self.set_examples(name, tuple(example if one.id == example.id else one for one in known))
        else:
            self.set_examples(name, (*known, example))

    def set_examples(self, name: str, examples: tuple[Example, ...]) -> None:
        """Take a new list of few-shot examples; the first one of a chat prompt is placed as turns."""
        before = self.prompt(name)
        placement = before.placement
        if placement == "none" and before.mode == "chat" and examples:
            placement = "turns"
        self.edit(name, msgspec.structs.replace(before, examples=examples, placement=placement))

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
            self._open(new)
            self.edit(new, msgspec.structs.replace(edited, name=new))
            self._settle(name)

    def revert(self, name: str) -> None:
        """Forget what was typed and read the file anew."""
        self._settle(name)
        self._opened.pop(name, None)
        self._new.discard(name)

    def revert_all(self) -> None:
        """Forget every unsaved edit: a person chose to leave without saving."""
        for name in self.edited:
            self.revert(name)

    def changed_outside(self) -> tuple[str, ...]:
        """Open prompts whose file another program changed."""
        return tuple(name for name, opened in tuple(self._opened.items()) if self.library.changed(opened))

    def keep_example(self, name: str, example: Example) -> None:
        """Keep an example of a prompt while it is typed, before it is one."""
        self.drafts.keep(_EXAMPLE + self._key(name), example)

    def drop_example(self, name: str) -> None:
        """The example that was typed is one now, or is not wanted."""
        self.drafts.drop(_EXAMPLE + self._key(name))

    def recover(self, names: Iterable[str]) -> tuple[WorkbenchError, ...]:
        """Take up what an earlier session left unsaved in this library; the drafts that cannot be read.

        names: prompts that are wanted in any case: what is wrong with a draft of theirs is a problem.
        """
        problems = []
        for name in dict.fromkeys((*names, *self._find_drafted(""), *self._find_drafted(_EXAMPLE))):
            try:
                self._recover(name)
                self._recover_example(name)
            except WorkbenchError as error:
                problems.append(error)
        return tuple(problems)

    def _find_drafted(self, kind: str) -> tuple[str, ...]:
        return self.drafts.find_keys(kind + self._key(""))

    def _recover_example(self, name: str) -> None:
        text = self.drafts.find(_EXAMPLE + self._key(name))
        if text is None:
            return
        try:
            example = msgspec.json.decode(text, type=Example)
        except msgspec.DecodeError as error:
            raise PromptError(
                f"The unsaved example of `{name}` cannot be read: {error}.",
                f"It is kept in {self.drafts.set_aside(_EXAMPLE + self._key(name))}.",
            ) from error
        written = self.drafts.written(_EXAMPLE + self._key(name))
        self.put_example(name, example)
        self._note(written)
        self.drop_example(name)

    def _note(self, written: float) -> None:
        self.recovered_from = max(self.recovered_from, written)

    def _recover(self, name: str) -> None:
        text = self.drafts.find(self._key(name))
        if text is None:
            return
        try:
            draft = msgspec.json.decode(text, type=Unsaved)
        except msgspec.DecodeError as error:
            raise PromptError(
                f"The unsaved edit of `{name}` cannot be read: {error}.",
                f"It is kept in {self.drafts.set_aside(self._key(name))}.",
            ) from error
        try:
            opened = self._open(name)
        except WorkbenchError:
            self._new.add(name)
        else:
            if opened.prompt == draft.prompt:
                self.drafts.drop(self._key(name))
                return
            self._opened[name] = msgspec.structs.replace(opened, digest=draft.digest)
        self._edited[name] = draft.prompt
        self._note(self.drafts.written(self._key(name)))

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
        return f"{self.library.folder.resolve()}:{name}"
