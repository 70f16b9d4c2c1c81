"""A prompt under another name, in every bench, recipe and chain of its project, to be seen before it is done."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import msgspec

from workbench import files, paths
from workbench.errors import BenchError, FileChangedError, FileError, PromptError, WorkbenchError
from workbench.library.autosave import AutosaveStore
from workbench.library.library import Library
from workbench.library.names import find_path, is_prompt, strip_suffix
from workbench.library.workspace import Workspace
from workbench.runs.bench import Bench, encode_bench, parse_bench
from workbench.runs.bench_autosave import BenchAutosave
from workbench.runs.project import find_root, list_project_files
from workbench.runs.prompt_references import FileEdit, change_references, change_text, change_yaml, names_prompt
from workbench.runs.recent import list_recent
from workbench.settings import Settings
from workbench.units import format_plural


class PromptRename(msgspec.Struct, frozen=True):
    """What a renaming would change.

    old, new: the prompt's names; old_path, new_path: its files. examples: the file that goes along to another folder;
    copied: whether it stays there too, for other prompts. edits: benches, recipes and chains that name the prompt.
    unread: what could not be looked at, and why.
    """

    old: str
    new: str
    old_path: Path
    new_path: Path
    examples: Path | None
    copied: bool
    edits: tuple[FileEdit, ...]
    unread: tuple[str, ...]

    def describe(self, base: Path) -> str:
        """Every file and line, for a person. base: the folder that paths are shown from."""
        lines = [f"{_show(self.old_path, base)} → {_show(self.new_path, base)}"]
        if self.examples:
            kept = "; it stays for other prompts" if self.copied else ""
            lines.append(f"{_show(self.examples, base)} → {_show(self.new_path.parent, base)}{os.sep}{kept}")
        for edit in self.edits:
            lines.append(_show(edit.path, base))
            for line in edit.list_lines():
                lines += [f"  {line.number:>4} - {line.before.strip()}", f"  {line.number:>4} + {line.after.strip()}"]
        count = sum(len(edit.list_lines()) for edit in self.edits)
        lines.append(
            f"{format_plural(len(self.edits), 'file')} and {format_plural(count, 'line')} change."
            if self.edits
            else "Nothing else in the project names it."
        )
        lines += [f"Not looked at: {problem}" for problem in self.unread]
        return "\n".join(lines)


def plan_rename(library: Library, old: str, new: str, settings: Settings, also: Iterable[Path] = ()) -> PromptRename:
    """What it would change to call a prompt otherwise, or to move it to another folder of the library.

    also: benches to look at besides those of the project and those opened lately. Raises PromptError where it cannot
    be renamed so, and BenchError for a bench that could not name it then.
    """
    old_path, new_path = library.check_rename(old, new)
    edits: list[FileEdit] = []
    unread: list[str] = []
    candidates, complete = _list_candidates(library, also)
    below = library.find(new)
    for path in candidates:
        try:
            if below and names_prompt(path, new_path, settings, library.folder):
                whose = "shipped prompt" if below[1] == "shipped" else "prompt of another folder"
                raise PromptError(f"{path} uses the {whose} {new}.", "Choose another name.")
            if edit := change_references(path, old_path, new_path, settings, library.folder):
                edits.append(edit)
        except (BenchError, FileError) as error:
            unread.append(f"{path}: {error.message.splitlines()[0]}")
    if not complete:
        unread.append(f"{find_root(library.folder)} has too many folders; only the first were searched.")
    moved = new_path.parent != old_path.parent
    examples = library.find_examples(old) if moved else None
    copied = examples is not None and library.find_own_examples(old) is None
    return PromptRename(old, new, old_path, new_path, examples, copied, tuple(edits), tuple(unread))


def apply_rename(plan: PromptRename, library: Library, autosaves: AutosaveStore, settings: Settings) -> None:
    """Do what was planned, or, where a file cannot be written, nothing. Unsaved changes follow.

    Raises FileChangedError for a file that was changed since, PromptError and FileError.
    """
    library.rename(plan.old, plan.new, lambda: _apply_all(plan.edits))
    Workspace(library, autosaves).rename_draft(plan.old, plan.new)
    for edit in plan.edits:
        if is_prompt(edit.path.name):
            continue  # the autosave of an open prompt is the workspace's
        update = partial(change_text, path=edit.path, old=plan.old_path, new=plan.new_path, settings=settings)
        BenchAutosave(autosaves, edit.path).change(update, edit.before, edit.after)


def change_chains(plan: PromptRename, prompts: Workspace, settings: Settings) -> dict[str, str | None]:
    """The open chains whose files name the prompt: what their front matter will be where they have unsaved edits.

    One that another program changed meanwhile is left out, so that saving it says so.
    """
    folder, outside = prompts.library.folder, prompts.changed_outside()
    found: dict[str, str | None] = {}
    for edit in plan.edits:
        if not is_prompt(edit.path.name) or not edit.path.is_relative_to(folder):
            continue
        name = strip_suffix(edit.path.relative_to(folder).as_posix())
        if name in outside:
            continue
        header = prompts.header(name) if name in prompts.edited else None
        changed = header and change_yaml(header, edit.path, plan.old_path, plan.new_path, settings, folder)
        found[name] = changed or header
    return found


def rename_in_bench(plan: PromptRename, bench: Bench, path: Path, settings: Settings) -> Bench:
    """An open bench, of that file, with the new name wherever it names the prompt."""
    text = change_text(encode_bench(bench), path, plan.old_path, plan.new_path, settings)
    return bench if text is None else parse_bench(text, str(path))


def list_users(library: Library, name: str, settings: Settings, also: Iterable[Path] = ()) -> tuple[Path, ...]:
    """The benches, recipes and chains of the project that name a prompt, as far as they can be read."""
    prompt = find_path(library.folder, name)
    found = []
    for path in _list_candidates(library, also)[0]:
        try:
            if names_prompt(path, prompt, settings, library.folder):
                found.append(path)
        except (BenchError, FileError):
            continue  # one that cannot be read runs nothing either
    return tuple(found)


def _apply_all(edits: tuple[FileEdit, ...]) -> None:
    done: list[Callable[[], None]] = []
    try:
        for edit in edits:
            edit.apply()
            done.append(edit.undo)
    except WorkbenchError:
        for undo in reversed(done):
            try:
                undo()
            except FileChangedError:
                continue  # another program has written it since: it is not ours to change back
        raise


def _list_candidates(library: Library, also: Iterable[Path]) -> tuple[list[Path], bool]:
    found = list_project_files(library.folder)
    chains = _list_chains(library)
    every = {paths.resolve(path): path for path in (*found.paths, *chains, *list_recent(), *also) if path.is_file()}
    return sorted(every.values()), found.complete


def _list_chains(library: Library) -> Iterator[Path]:
    """The library's prompts with steps."""
    for path in library.own_files():
        with contextlib.suppress(FileError):
            if "steps" in files.read_text(path):
                yield path


def _show(path: Path, base: Path) -> str:
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)
