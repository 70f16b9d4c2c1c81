"""The versions of a prompt in git: each commit that changed its file or its examples, through renamings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import msgspec

from workbench import paths
from workbench.errors import FileError, WorkbenchError
from workbench.library.examples import load_examples
from workbench.library.formats import prompty
from workbench.library.git_commands import ask_git
from workbench.prompting.prompt import Prompt

MOST_COMMITS = 200
_LARGEST = 2**20  # bytes of a prompt or an examples file
_COMMIT = re.compile(r"([0-9a-f]{40,64}) (\d+) (.*)", re.DOTALL)
_LOG = (
    "log", "-z", "--raw", "--no-abbrev", "--no-color", "--no-ext-diff", "--no-textconv", "--no-show-signature",
    "--format=tformat:%H %ct %s",
)  # fmt: skip


class Commit(msgspec.Struct, frozen=True):
    """at: seconds since 1970, as its committer's clock had it."""

    id: str
    at: float
    subject: str


class CommittedPrompt(NamedTuple):
    """A prompt as a commit has it. path: of its file in the repository. problem: why it cannot be read; then no
    prompt."""

    commit: Commit
    path: str
    prompt: Prompt | None
    problem: str = ""


class GitHistory(NamedTuple):
    """prompts: newest first. complete: False where there are more commits. problem: why git could not be asked; empty
    where it could, or where there is no repository. shallow: the clone has only the newest commits, of which the
    oldest seems to have brought all that was there by then."""

    prompts: tuple[CommittedPrompt, ...] = ()
    complete: bool = True
    problem: str = ""
    shallow: bool = False


class _CommittedPath(NamedTuple):
    commit: Commit
    path: str


def read_git_history(path: Path, name: str, most: int = MOST_COMMITS) -> GitHistory:
    """The commits of a prompt's file. Raises nothing: what cannot be read is told in the result."""
    try:
        own = paths.resolve(path)  # of a link, git has the path that it leads to and no text
        if not any((folder / ".git").exists() for folder in own.parents):
            return GitHistory()
        return _read_history(own, name, most)
    except FileError as error:
        return GitHistory(problem=error.message)


def _read_history(path: Path, name: str, most: int) -> GitHistory:
    folder = next(folder for folder in path.parents if folder.is_dir())
    root = Path(ask_git(folder, ["rev-parse", "--show-toplevel"]).decode(errors="surrogateescape").rstrip("\n"))
    if not path.is_relative_to(root):
        return GitHistory()
    if ask_git(root, ["cat-file", "--batch-check=%(objecttype)"], b"HEAD\n").strip() != b"commit":
        return GitHistory()  # no commit yet
    own = list(_read_log(root, path.relative_to(root).as_posix(), most + 1, follow=True))
    texts = _read_blobs(root, [f"{change.commit.id}:{change.path}" for change in own])
    prompts = [_read_examples_name(one, text, name, root) for one, text in zip(own, texts, strict=True)]
    changes = _add_examples(root, own, prompts, most)
    found = _read_prompts(root, changes[:most], name)
    shallow = ask_git(root, ["rev-parse", "--is-shallow-repository"]).strip() == b"true"
    return GitHistory(tuple(found), len(changes) <= most, shallow=shallow)


def _read_log(root: Path, path: str, most: int, follow: bool) -> Iterator[_CommittedPath]:
    """The commits that changed a file, newest first, with the name that it had there."""
    more = ["--follow", "-M"] if follow else []
    answer = ask_git(root, [*_LOG, *more, f"--max-count={most}", "HEAD", "--", path])
    parts = iter(answer.decode(errors="surrogateescape").split("\0"))
    commit: Commit | None = None
    for part in parts:
        line = part.lstrip("\n")
        if line.startswith(":"):
            status = line.rsplit(" ", 1)[-1]
            named = next(parts, "")
            if status[:1] in ("R", "C"):
                named = next(parts, "")
            if commit is not None and status[:1] != "D":
                yield _CommittedPath(commit, named)
        elif match := _COMMIT.fullmatch(line):
            commit = Commit(match[1], float(match[2]), match[3].encode(errors="replace").decode())


def _read_blobs(root: Path, names: Sequence[str]) -> list[str | None]:
    """The texts of objects; None for one that is not there, too large, or not UTF-8."""
    wanted = [name if "\n" not in name else "" for name in names]
    given = "".join(f"{name}\n" for name in wanted).encode(errors="surrogateescape")
    sizes = ask_git(root, ["cat-file", "--batch-check=%(objecttype) %(objectsize)"], given).decode().splitlines()
    small = [_is_small(line) for line in sizes]
    chosen = [name for name, fits in zip(wanted, small, strict=True) if fits]
    given = "".join(f"{name}\n" for name in chosen).encode(errors="surrogateescape")
    answer = ask_git(root, ["cat-file", "--batch=%(objectsize)"], given)
    texts = iter(_split_batch(answer))
    return [next(texts) if fits else None for fits in small]


def _is_small(line: str) -> bool:
    kind, _, size = line.partition(" ")
    return kind == "blob" and size.isdecimal() and int(size) <= _LARGEST


def _split_batch(answer: bytes) -> Iterator[str | None]:
    at = 0
    while at < len(answer):
        end = answer.index(b"\n", at)
        size = int(answer[at:end])
        try:
            yield answer[end + 1 : end + 1 + size].decode()
        except UnicodeDecodeError:
            yield None
        at = end + size + 2


def _load(text: str, name: str, root: Path, path: str) -> tuple[Prompt, str]:
    """The prompt in a text, and the path of its examples in the repository; "" for none. Raises PromptError."""
    loaded = prompty.load(text, name, root / path)
    return loaded.prompt, _join(path, loaded.examples) if loaded.examples else ""


def _join(path: str, reference: str) -> str:
    return PurePosixPath(path).parent.joinpath(reference).as_posix()


def _read_examples_name(change: _CommittedPath, text: str | None, name: str, root: Path) -> str:
    try:
        return _load(text or "", name, root, change.path)[1]
    except WorkbenchError:
        return ""


def _add_examples(
    root: Path, own: Sequence[_CommittedPath], examples: Sequence[str], most: int
) -> list[_CommittedPath]:
    """The commits of the prompt's file and those of its examples, newest first; each with the path that the prompt had
    then, which is that of the prompt's last commit before it."""
    known = {change.commit.id for change in own}
    further: dict[str, _CommittedPath] = {}
    for named in dict.fromkeys(filter(None, examples)):
        for change in _read_log(root, named, most + 1, follow=False):
            if change.commit.id in known:
                continue
            earlier = next((one for one in own if one.commit.at <= change.commit.at), None)
            if earlier is not None:
                further[change.commit.id] = _CommittedPath(change.commit, earlier.path)
    return sorted((*own, *further.values()), key=lambda change: -change.commit.at)


def _read_prompts(root: Path, changes: Sequence[_CommittedPath], name: str) -> Iterator[CommittedPrompt]:
    texts = _read_blobs(root, [f"{change.commit.id}:{change.path}" for change in changes])
    found: dict[str, tuple[Prompt, str] | str] = {}
    for change, text in zip(changes, texts, strict=True):
        try:
            found[change.commit.id] = _load(text, name, root, change.path) if text is not None else "not a text file"
        except WorkbenchError as error:
            found[change.commit.id] = error.message
    wanted = {id: f"{id}:{held[1]}" for id, held in found.items() if not isinstance(held, str) and held[1]}
    held_examples: Mapping[str, str | None] = dict(zip(wanted, _read_blobs(root, list(wanted.values())), strict=True))
    for change in changes:
        held = found[change.commit.id]
        if isinstance(held, str):
            yield CommittedPrompt(change.commit, change.path, None, held)
        else:
            yield _with_examples(change, *held, held_examples.get(change.commit.id))


def _with_examples(change: _CommittedPath, prompt: Prompt, examples: str, text: str | None) -> CommittedPrompt:
    if not examples:
        return CommittedPrompt(change.commit, change.path, prompt)
    if text is None:
        return CommittedPrompt(change.commit, change.path, None, f"{examples} is not in the commit")
    try:
        held = load_examples(text, Path(examples))
    except WorkbenchError as error:
        return CommittedPrompt(change.commit, change.path, None, error.message)
    return CommittedPrompt(change.commit, change.path, msgspec.structs.replace(prompt, examples=held))
