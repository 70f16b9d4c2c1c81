"""Where benches, recipes and chains name a prompt, and the same text with another name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from workbench import files, paths
from workbench.errors import BenchError, FileError, PromptError
from workbench.library.formats.prompty import FileParts, split
from workbench.library.names import SUFFIX, find_path, is_prompt
from workbench.runs.project import find_library
from workbench.settings import Settings
from workbench.yaml_edit import amend
from workbench.yaml_tree import YamlParseError, parse_yaml, to_plain

_JUDGES = ("judge", "pairwise")
"""Scorers with an option `prompt`: a file, or a name in the bench's or the working folder or its `prompts`."""


class ChangedLine(NamedTuple):
    """A line, from 1, as it is and as it would be."""

    number: int
    before: str
    after: str


class FileEdit(NamedTuple):
    """A bench, recipe or chain that names a prompt, with its text before and after."""

    path: Path
    before: str
    after: str

    def list_lines(self) -> list[ChangedLine]:
        """The lines that differ. A name stands on one line, so that none are added."""
        pairs = zip(self.before.splitlines(), self.after.splitlines(), strict=True)
        return [ChangedLine(number, old, new) for number, (old, new) in enumerate(pairs, 1) if old != new]

    def apply(self) -> None:
        """Write it. Raises FileChangedError where the file has changed since, and FileError."""
        files.write_text(self.path, self.after, files.digest_text(self.before))

    def undo(self) -> None:
        """Write what was there before, unless it was changed since."""
        files.write_text(self.path, self.before, files.digest_text(self.after))


class _Reference(NamedTuple):
    """A name of a prompt in a document, and the folder in which the name is looked up; judge: by other rules."""

    keys: tuple[str | int, ...]
    name: str
    library: Path
    judge: bool = False


def names_prompt(path: Path, prompt: Path, settings: Settings, library: Path) -> bool:
    """Whether a bench, a recipe or a chain names the prompt of that file. library: the folder of the chains.

    Raises BenchError or FileError.
    """
    tree = _parse(_split(files.read_text(path), path).yaml, path)
    return any(_is_meant(reference, prompt) for reference in _find_references(tree, path, settings, library))


def change_references(path: Path, old: Path, new: Path, settings: Settings, library: Path) -> FileEdit | None:
    """The file with the prompt of the file `old` under the name of `new`; None where it does not name it.

    Raises BenchError or FileError where it cannot be read, PromptError where it could not name the new file.
    """
    text = files.read_text(path)
    changed = change_text(text, path, old, new, settings, library)
    if changed is None:
        return None
    if len(changed.splitlines()) != len(text.splitlines()):
        raise PromptError(f"{path} cannot be changed line by line.", "Simplify it: write out aliases and merge keys.")
    return FileEdit(path, text, changed)


def change_text(
    text: str, path: Path, old: Path, new: Path, settings: Settings, library: Path | None = None
) -> str | None:
    """As change_references, of a text that the file `path` has or could have."""
    parts = _split(text, path)
    changed = change_yaml(parts.yaml, path, old, new, settings, library)
    return None if changed is None else f"{parts.opening}{changed}{parts.closing}{parts.body}"


def change_yaml(
    text: str, path: Path, old: Path, new: Path, settings: Settings, library: Path | None = None
) -> str | None:
    """As change_text, of the YAML of the file alone, such as the front matter of a chain."""
    tree = _parse(text, path)
    found = [reference for reference in _find_references(tree, path, settings, library) if _is_meant(reference, old)]
    if not found:
        return None
    wanted = to_plain(tree, strict=False)
    for reference in found:
        _set(wanted, reference.keys, _rename(reference, new, path))
    changed = amend(text, wanted)
    if changed is None:
        raise PromptError(f"{path} cannot be changed as it stands.", "Simplify it: write out aliases and merge keys.")
    return changed


def _split(text: str, path: Path) -> FileParts:
    """The YAML of a file, and what stands around it."""
    if not is_prompt(path.name):
        return FileParts("", text, "", "")
    try:
        return split(text, path)
    except PromptError as error:
        raise BenchError(error.message, error.hint) from error


def _parse(text: str, path: Path) -> Any:
    try:
        return parse_yaml(text)
    except YamlParseError as error:
        line = f":{error.problem.line}" if error.problem.line else ""
        raise BenchError(f"{path}{line}: not YAML: {error.problem.message}") from error


def _find_references(tree: Any, path: Path, settings: Settings, chains: Path | None) -> Iterator[_Reference]:
    if not isinstance(tree, dict):
        return
    folder = path.parent
    if is_prompt(path.name):
        yield from _find_steps(tree, chains or folder)
        return
    if ".recipe." in path.name:
        if name := _read_text(tree, "prompt"):
            yield _Reference(("prompt",), name, _find_recipe_library(tree, folder, settings))
        return
    library = find_library(settings, _read_text(tree, "library"), folder)
    for index, variant in enumerate(_read_list(tree, "variants")):
        if name := _read_text(variant, "prompt"):
            yield _Reference(("variants", index, "prompt"), name, library)
    for index, task in enumerate(_read_list(tree, "keep")):
        if name := _read_text(task, "prompt"):
            yield _Reference(("keep", index, "prompt"), name, library)
    matrix = tree.get("matrix")
    for index, name in enumerate(_read_list(matrix, "prompts") if isinstance(matrix, dict) else []):
        if isinstance(name, str):
            yield _Reference(("matrix", "prompts", index), name, library)
    for index, held in enumerate(_read_list(matrix, "exclude") if isinstance(matrix, dict) else []):
        if name := _read_text(held, "prompt"):
            yield _Reference(("matrix", "exclude", index, "prompt"), name, library)
    for index, scorer in enumerate(_read_list(tree, "scorers")):
        for kind in _JUDGES:
            options = scorer.get(kind) if isinstance(scorer, dict) else None
            if name := _read_text(options, "prompt"):
                for base in dict.fromkeys((folder, paths.working_folder())):
                    yield _Reference(("scorers", index, kind, "prompt"), name, base, judge=True)


def _find_steps(tree: dict[Any, Any], library: Path) -> Iterator[_Reference]:
    """The prompts of a chain's steps, and of the calls that verify them."""
    for index, step in enumerate(_read_list(tree, "steps")):
        verify = step.get("verify") if isinstance(step, dict) else None
        for keys, held in (((), step), (("verify",), verify)):
            if name := _read_text(held, "prompt"):
                yield _Reference(("steps", index, *keys, "prompt"), name, library)


def _find_recipe_library(tree: dict[Any, Any], folder: Path, settings: Settings) -> Path:
    """As training/task.py opens it: the recipe's own, else that of its bench."""
    own, bench = _read_text(tree, "library"), _read_text(tree, "bench")
    if bench:
        path = paths.find_input(bench, folder)
        held = _parse(files.read_text(path), path)
        return find_library(settings, own or _read_text(held, "library"), path.parent)
    return find_library(settings, "", paths.find_input(own, folder) if own else None)


def _is_meant(reference: _Reference, prompt: Path) -> bool:
    try:
        if not reference.judge:
            return paths.resolve(find_path(reference.library, reference.name)) == paths.resolve(prompt)
        return any(paths.resolve(reference.library / form(reference.name)) == paths.resolve(prompt) for form in _FORMS)
    except (PromptError, FileError):
        return False


_FORMS = (lambda name: name, lambda name: f"{name}{SUFFIX}", lambda name: f"prompts/{name}{SUFFIX}")
"""The files that a judge's prompt may be, as scoring/judge_panel.py finds it."""


def _rename(reference: _Reference, new: Path, file: Path) -> str:
    try:
        path = paths.resolve(new).relative_to(paths.resolve(reference.library)).as_posix()
    except ValueError as error:
        raise PromptError(
            f"{file} could not name {new} any more: its library is {reference.library}.", "Choose a name inside it."
        ) from error
    if reference.judge and reference.name.endswith(SUFFIX):
        return path
    name = path.removesuffix(SUFFIX)
    return name.removeprefix("prompts/") if reference.judge and not reference.name.startswith("prompts/") else name


def _set(value: Any, keys: tuple[str | int, ...], name: str) -> None:
    for key in keys[:-1]:
        value = value[key]
    value[keys[-1]] = name


def _read_text(tree: Any, key: str) -> str:
    value = tree.get(key) if isinstance(tree, dict) else None
    return str(value) if isinstance(value, str) else ""


def _read_list(tree: dict[Any, Any], key: str) -> list[Any]:
    value = tree.get(key)
    return value if isinstance(value, list) else []
