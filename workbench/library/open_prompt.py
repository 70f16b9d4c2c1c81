"""A prompt together with the files it was read from, and how it is written back to them."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec.structs import replace

from workbench import files
from workbench.errors import PromptError, WorkbenchError
from workbench.library.examples import dump_examples, load_examples
from workbench.library.formats import prompty
from workbench.library.formats.file_reference import resolve_reference
from workbench.library.names import strip_suffix
from workbench.prompting.prompt import Example, Prompt


class OpenPrompt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A prompt and the files it was read from, as they were then.

    source, digest: the whole text of the prompt file and its fingerprint. examples_path is None when the prompt
    names no examples file.
    """

    prompt: Prompt
    path: Path
    digest: str
    source: str
    read_only: bool
    examples_path: Path | None = None
    examples_digest: str = ""
    examples_source: str = ""


def is_changed(opened: OpenPrompt) -> bool:
    """Whether another program changed or removed a file of this prompt since it was opened."""
    if files.digest(opened.path) != opened.digest:
        return True
    return opened.examples_path is not None and files.digest(opened.examples_path) != opened.examples_digest


def would_lose(opened: OpenPrompt, prompt: Prompt, path: Path) -> bool:
    """Whether writing the prompt to `path` would write over what another program wrote."""
    if opened.read_only:
        return path.exists()
    examples = opened.examples_path if prompt.examples != opened.prompt.examples else None
    changed = examples is not None and files.digest(examples) != opened.examples_digest
    return changed or files.digest(path) != opened.digest


def open_prompt(path: Path, name: str, read_only: bool) -> OpenPrompt:
    if not read_only:
        files.remove_leftovers(path)
    source = files.read_text(path)
    loaded = prompty.load(source, name, path)
    opened = OpenPrompt(loaded.prompt, path, files.digest_text(source), source, read_only)
    if not loaded.examples:
        return opened
    try:
        examples_path = resolve_reference(loaded.examples, path.parent)
    except PromptError as error:
        raise PromptError(f"{path}: `metadata.workbench.examples` {error.message}.", error.hint) from error
    text = files.read_text(examples_path)
    return replace(
        opened,
        prompt=replace(loaded.prompt, examples=load_examples(text, examples_path)),
        examples_path=examples_path,
        examples_digest=files.digest_text(text),
        examples_source=text,
    )


def write_prompt(path: Path, prompt: Prompt, origin: OpenPrompt, force: bool) -> OpenPrompt:
    """Write a prompt that was opened as `origin` to `path`, which may be another; its examples first."""
    examples = _find_examples(path, prompt, origin)
    reference = _refer(examples, path)
    kept = reference == _refer(origin.examples_path, origin.path)
    text = prompty.dump(prompt, origin.source, origin.path, None if kept else reference)
    prompty.load(text, prompt.name, path)  # what it refers to may not be found from another folder
    unedited = examples == origin.examples_path and prompt.examples == origin.prompt.examples
    if examples and not (unedited and examples.exists()):
        _write_examples(examples, prompt, origin, force)
    expected = origin.digest if path == origin.path else ""
    if files.digest(path) != files.digest_text(text):
        files.write_text(path, text, None if force else expected)
    return open_prompt(path, prompt.name, read_only=False)


def _write_examples(path: Path, prompt: Prompt, origin: OpenPrompt, force: bool) -> None:
    if _read_examples(path) == prompt.examples:
        return
    expected = origin.examples_digest if path == origin.examples_path and path.exists() else ""
    files.write_text(path, dump_examples(prompt.examples, origin.examples_source), None if force else expected)


def _find_examples(path: Path, prompt: Prompt, origin: OpenPrompt) -> Path | None:
    """The examples file for a prompt at `path`: the one it has, else one that holds the same, else a new one."""
    if origin.examples_path and path == origin.path:
        return origin.examples_path
    if not prompt.examples and not origin.examples_path:
        return None
    stem = strip_suffix(path.name)
    usual = _refer(origin.examples_path, origin.path) or "examples.jsonl"
    numbered = (f"{stem}-{number}.examples.jsonl" for number in range(2, 100))
    for name in (usual, f"{stem}.examples.jsonl", *numbered):
        candidate = path.parent / name
        if not candidate.exists() or _read_examples(candidate) == prompt.examples:
            return candidate
    raise PromptError(f"No free file name for the examples of {path}.", "Remove some `.examples.jsonl` files.")


def _refer(examples: Path | None, path: Path) -> str:
    """The examples file as the prompt at `path` names it; empty when it has none."""
    return examples.relative_to(path.parent).as_posix() if examples else ""


def _read_examples(path: Path) -> tuple[Example, ...] | None:
    """The examples in a file; None when it is not there or holds something else."""
    try:
        return load_examples(files.read_text(path), path) if path.exists() else None
    except WorkbenchError:
        return None
