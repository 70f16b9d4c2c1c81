"""Drafts: unsaved texts, one small file each, so that a crash loses nothing that a person typed.

Knows neither prompts nor screens: a key and a text, both any string.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from workbench import files
from workbench.errors import FileError


class _Draft(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: str
    text: str


class Drafts:
    """The drafts in one folder, which need not exist yet. Methods raise FileError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, key: str, text: str) -> None:
        """Keep the text under the key, in place of the one that was there; fast enough for every keystroke."""
        files.write_text(self._path(key), msgspec.json.encode(_Draft(key, text)).decode(), durable=False)

    def find(self, key: str) -> str | None:
        """The text kept under the key; None when there is none."""
        path = self._path(key)
        return _read(path).text if path.exists() else None

    def drop(self, key: str) -> None:
        """Forget the key's text, if there is one."""
        files.remove(self._path(key))

    def all(self) -> dict[str, str]:
        """Every draft, key -> text, sorted by key."""
        drafts = [_read(path) for path in self.folder.glob("*.json")]
        return {draft.key: draft.text for draft in sorted(drafts, key=lambda draft: draft.key)}

    def _path(self, key: str) -> Path:
        name = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return self.folder / f"{name}.json"


def _read(path: Path) -> _Draft:
    try:
        return msgspec.json.decode(files.read_text(path), type=_Draft)
    except msgspec.DecodeError as error:
        raise FileError(f"{path} is not a draft: {error}.", "Delete the file; it holds unsaved text.") from error
