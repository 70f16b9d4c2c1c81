"""Unsaved texts, one small file each, so that a crash loses nothing that was typed.

Each belongs to the process that wrote it: two open apps never overwrite each other's. What a process that has ended
left behind is taken over by the next one that asks. Key and text are any strings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from workbench import files
from workbench.errors import FileError
from workbench.process_identity import describe_myself, is_alive


class _Autosave(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: str
    text: str


class AutosaveStore:
    """The drafts in one folder, which need not exist yet. Methods raise FileError unless they say otherwise.

    identity: of the process that they are written for, as `process_identity` tells it; this one by default.
    """

    def __init__(self, folder: Path, identity: str = "") -> None:
        self.folder = folder
        self._identity = identity
        self._problem: FileError | None = None
        self._failing = False

    def keep(self, key: str, value: str | msgspec.Struct) -> None:
        """Keep a text, or a value as JSON, under the key in place of what was there; fast enough for every keystroke.

        Raises nothing: nobody's typing ends because the disk is full. See `take_problem`.
        """
        try:
            text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            autosave = msgspec.json.encode(_Autosave(_escape(key), text)).decode()
            files.write_text(self._path(key), autosave, durable=False)
        except (FileError, UnicodeEncodeError) as error:
            if not self._failing:
                reason = error.message if isinstance(error, FileError) else f"Lone surrogate: {error.reason}."
                self._problem = FileError(
                    f"Unsaved changes are not kept: {reason}", "A crash would lose them now: save often."
                )
            self._failing = True
        else:
            self._failing = False

    def pop_problem(self) -> FileError | None:
        """Why a draft could not be written; told once, until one can be written again."""
        problem, self._problem = self._problem, None
        return problem

    def find(self, key: str) -> str | None:
        """The text under the key: this process's own, or the last that one which has ended left, now this one's."""
        own = self._path(key)
        if own.exists():
            return _read(own).text
        left = [path for path in self.folder.glob(f"{_digest(key)}*.json") if not is_alive(_owner(path))]
        for path in sorted(left, key=_saved_at, reverse=True):
            text = _read(path).text
            try:
                path.rename(own)  # two processes may ask at once: only one can rename it
            except FileNotFoundError:
                continue
            except OSError as error:
                raise FileError(f"Cannot recover {path}: {error.strerror}.", "Check its permissions.") from error
            return text
        return None

    def written(self, key: str) -> float:
        """When the text that `find` found was kept, in seconds since the epoch."""
        return _saved_at(self._path(key))

    def drop(self, key: str) -> None:
        """Forget this process's text of the key, if there is one."""
        files.remove(self._path(key))

    def quarantine(self, key: str) -> Path:
        """Keep what `find` found, and nobody can make sense of, where no later draft takes its place; the file."""
        path = self._path(key)
        aside = path.with_suffix(".unreadable")
        files.remove(aside)
        files.move(path, aside)
        return aside

    def find_keys(self, start: str) -> tuple[str, ...]:
        """What follows in the keys that begin so and that `find` would find, sorted; unreadable files are left out."""
        paths, start = [path for path in self.folder.glob("*.json") if self._is_ours(path)], _escape(start)
        return tuple(sorted({key.removeprefix(start) for key in _read_keys(paths) if key.startswith(start)}))

    def all(self) -> dict[str, str]:
        """Every draft, whoever's, key -> the last text, sorted by key."""
        paths = sorted(self.folder.glob("*.json"), key=_saved_at)
        autosaves = [_read(path) for path in paths]
        return {autosave.key: autosave.text for autosave in sorted(autosaves, key=lambda autosave: autosave.key)}

    def _is_ours(self, path: Path) -> bool:
        owner = _owner(path)
        return owner == self._owner or not is_alive(owner)

    @property
    def _owner(self) -> str:
        return self._identity or describe_myself()

    def _path(self, key: str) -> Path:
        return self.folder / f"{_digest(key)}.{self._owner.replace(' ', '-')}.json"


def _owner(path: Path) -> str:
    """The process that a file's name tells."""
    return path.name.removesuffix(".json").partition(".")[2].replace("-", " ")


def _digest(key: str) -> str:
    return hashlib.blake2b(_escape(key).encode("utf-8"), digest_size=16).hexdigest()


def _escape(key: str) -> str:
    """The key without lone surrogates, as a path has whose bytes are not UTF-8."""
    return key.encode("utf-8", "backslashreplace").decode()


def _saved_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0  # gone since it was listed


def _read_keys(paths: list[Path]) -> Iterator[str]:
    for path in paths:
        try:
            yield _read(path).key
        except FileError:
            continue  # `find` says so, for whoever asks for it


def _read(path: Path) -> _Autosave:
    try:
        return msgspec.json.decode(files.read_text(path), type=_Autosave)
    except msgspec.DecodeError as error:
        raise FileError(
            f"{path} is not an autosave file: {error}.", "Delete the file; it holds unsaved text."
        ) from error
