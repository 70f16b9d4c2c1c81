"""The open prompts, with their unsaved changes.

Every unsaved text is autosaved, so a crash loses none; an autosave remembers the file it was made on, so a recovered
edit never overwrites what changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from workbench.errors import PromptError, WorkbenchError
from workbench.library.autosave import AutosaveStore
from workbench.library.header import edit_header, read_header
from workbench.library.library import Library, OpenPrompt
from workbench.library.names import SUFFIX
from workbench.prompting.prompt import Example, Prompt

_EXAMPLE, _HEADER = "example:", "header:"
"""Begin the keys of drafts of an example and of front matter; that of a prompt begins with its library's folder."""


class Unsaved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An edit that was not saved, and the fingerprint of the prompt file that it was made on."""

    digest: str
    prompt: Prompt


_RENAMED = {"unused": "unsupported"}
"""keys of a Prompt in autosaves of the previous version"""


class Workspace:
    """Open prompts by name.

    recovered_from: when the last of what was recovered was kept, in seconds since the epoch; 0 where nothing was.
    """

    def __init__(self, library: Library, autosaves: AutosaveStore) -> None:
        self.library = library
        self.autosaves = autosaves
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

    @property
    def contents(self) -> dict[str, Prompt]:
        """Every prompt that was opened, as it now reads."""
        return {**{name: opened.prompt for name, opened in self._opened.items()}, **self._edited}

    def restore(self, contents: Mapping[str, Prompt]) -> None:
        """Let the prompts read so again, unsaved where their files read otherwise; one begun since is given up."""
        for name in self.edited:
            if name in self._new and name not in contents:
                self.revert(name)
            elif name not in contents:
                self._settle(name)
        present = self.contents
        for name, prompt in contents.items():
            if present.get(name) != prompt:
                try:
                    self._open(name)
                except WorkbenchError:
                    self._new.add(name)
                self.edit(name, prompt)

    def edit(self, name: str, prompt: Prompt) -> None:
        """Take a new version of a prompt; one that equals the file again is no edit any more."""
        opened = self._opened.get(name)
        if opened and opened.prompt == prompt:
            self._settle(name)
            return
        self._edited[name] = prompt
        self.autosaves.keep(self._key(name), Unsaved(opened.digest if opened else "", prompt))

    def header(self, name: str) -> str:
        """The text of a prompt's front matter, unsaved changes included."""
        return read_header(self.prompt(name), self._source(name), self._path(name))

    def edit_header(self, name: str, yaml: str) -> bool:
        """Take another text of the front matter; whether that changed anything. Raises PromptError for a wrong one."""
        before = self.prompt(name)
        after = edit_header(before, self._source(name), yaml, self._path(name))
        if after == before:
            return False
        self.edit(name, after)
        return True

    def check_header(self, name: str, yaml: str) -> Prompt:
        """The prompt as it would be. Raises PromptError that names line and key of everything that is wrong."""
        return edit_header(self.prompt(name), self._source(name), yaml, self._path(name))

    def _source(self, name: str) -> str:
        return self._opened[name].source if name in self._opened else ""

    def _path(self, name: str) -> Path:
        return self._opened[name].path if name in self._opened else Path(f"{name}{SUFFIX}")

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

    def copy_of(self, name: str) -> Prompt:
        """The prompt as it now reads, with the comments and unknown keys of its front matter."""
        yaml = self.header(name)
        return msgspec.structs.replace(self.prompt(name), header=yaml) if yaml else self.prompt(name)

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

    def note_renamed(self, name: str, new: str) -> None:
        """A prompt of the library was renamed; unsaved edits follow."""
        self._opened.pop(name, None)
        edited = self._edited.get(name)
        if edited is not None:
            self._open(new)
            self.edit(new, msgspec.structs.replace(edited, name=new))
            self._settle(name)

    def note_rewritten(self, name: str, header: str | None = None) -> None:
        """We wrote the file of an open prompt ourselves; its unsaved edits go on, with this text as front matter."""
        self._opened.pop(name, None)
        if header is not None:
            self._open(name)
            self.edit_header(name, header)

    def rename_draft(self, name: str, new: str) -> None:
        """Let the unsaved edit that an earlier session left of a prompt follow it; one that cannot be read stays."""
        text = self.autosaves.find(self._key(name))
        if text is None:
            return
        try:
            draft = _decode_unsaved(text)
        except msgspec.DecodeError:
            return  # whoever opens it says so
        renamed = msgspec.structs.replace(draft.prompt, name=new)
        self.autosaves.keep(self._key(new), msgspec.structs.replace(draft, prompt=renamed))
        self.autosaves.drop(self._key(name))

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
        self.autosaves.keep(_EXAMPLE + self._key(name), example)

    def drop_example(self, name: str) -> None:
        """The example that was typed is one now, or is not wanted."""
        self.autosaves.drop(_EXAMPLE + self._key(name))

    def keep_header(self, name: str, yaml: str) -> None:
        """Keep the front matter of a prompt while it is typed, right or wrong."""
        self.autosaves.keep(_HEADER + self._key(name), yaml)

    def drop_header(self, name: str) -> None:
        """The front matter that was typed is the prompt's now, or is not wanted."""
        self.autosaves.drop(_HEADER + self._key(name))

    def recover(self, names: Iterable[str]) -> tuple[WorkbenchError, ...]:
        """Take up what an earlier session left unsaved in this library; the drafts that cannot be read.

        names: prompts that are wanted in any case: what is wrong with a draft of theirs is a problem.
        """
        problems = []
        for name in dict.fromkeys(
            (*names, *(name for kind in ("", _EXAMPLE, _HEADER) for name in self._find_drafted(kind)))
        ):
            try:
                self._recover(name)
                self._recover_example(name)
                self._recover_header(name)
            except WorkbenchError as error:
                problems.append(error)
        return tuple(problems)

    def _find_drafted(self, kind: str) -> tuple[str, ...]:
        return self.autosaves.find_keys(kind + self._key(""))

    def _recover_example(self, name: str) -> None:
        text = self.autosaves.find(_EXAMPLE + self._key(name))
        if text is None:
            return
        try:
            example = msgspec.json.decode(text, type=Example)
        except msgspec.DecodeError as error:
            raise PromptError(
                f"The unsaved example of `{name}` cannot be read: {error}.",
                f"It is kept in {self.autosaves.quarantine(_EXAMPLE + self._key(name))}.",
            ) from error
        written = self.autosaves.written(_EXAMPLE + self._key(name))
        self.put_example(name, example)
        self._note(written)
        self.drop_example(name)

    def _recover_header(self, name: str) -> None:
        key = _HEADER + self._key(name)
        text = self.autosaves.find(key)
        if text is None:
            return
        written = self.autosaves.written(key)
        try:
            self.edit_header(name, text)
        except WorkbenchError as error:
            raise PromptError(
                f"The unsaved front matter of `{name}` is wrong: {error.message}",
                f"It is kept in {self.autosaves.quarantine(key)}.",
            ) from error
        self._note(written)
        self.drop_header(name)

    def _note(self, written: float) -> None:
        self.recovered_from = max(self.recovered_from, written)

    def _recover(self, name: str) -> None:
        text = self.autosaves.find(self._key(name))
        if text is None:
            return
        try:
            draft = _decode_unsaved(text)
        except msgspec.DecodeError as error:
            raise PromptError(
                f"The unsaved edit of `{name}` cannot be read: {error}.",
                f"It is kept in {self.autosaves.quarantine(self._key(name))}.",
            ) from error
        try:
            opened = self._open(name)
        except WorkbenchError:
            self._new.add(name)
        else:
            if opened.prompt == draft.prompt:
                self.autosaves.drop(self._key(name))
                return
            self._opened[name] = msgspec.structs.replace(opened, digest=draft.digest)
        self._edited[name] = draft.prompt
        self._note(self.autosaves.written(self._key(name)))

    def _open(self, name: str) -> OpenPrompt:
        if name not in self._opened:
            self._opened[name] = self.library.open(name)
        return self._opened[name]

    def _settle(self, name: str) -> None:
        self._edited.pop(name, None)
        self.autosaves.drop(self._key(name))

    def _reopen_siblings(self) -> None:
        """Prompts may share an examples file: our own save of it is no change by another program."""
        for name in self.changed_outside():
            if name not in self._edited:
                del self._opened[name]

    def _key(self, name: str) -> str:
        return f"{self.library.folder.resolve()}:{name}"


def _decode_unsaved(text: str) -> Unsaved:
    """An autosave of this version or the one before, whose keys had other names. Raises msgspec.DecodeError."""
    values = msgspec.json.decode(text)
    if isinstance(values, dict) and isinstance(prompt := values.get("prompt"), dict):
        values["prompt"] = {_RENAMED.get(key, key): value for key, value in prompt.items()}
    return msgspec.convert(values, Unsaved)
