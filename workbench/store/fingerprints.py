"""Fingerprints of large files, read once and remembered for as long as size and time of change stay the same."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from workbench.errors import FileError, StoreBlockedError
from workbench.store.store import Store


def fingerprint(store: Store, path: Path) -> str:
    """The digest of a file's content, or of all files of a folder with their names. Raises FileError."""
    if not path.is_dir():
        return _fingerprint_file(store, path)
    whole = hashlib.blake2b(digest_size=16)
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        if not any(part.startswith(".") for part in file.relative_to(path).parts):
            whole.update(f"{file.relative_to(path).as_posix()}\0{_fingerprint_file(store, file)}\n".encode())
    return whole.hexdigest()


def _fingerprint_file(store: Store, path: Path) -> str:
    real = path.resolve()
    try:
        state = real.stat()
        known = store.read(
            "SELECT digest FROM valid_fingerprints WHERE path = ? AND size = ? AND changed = ?",
            (str(real), state.st_size, state.st_mtime_ns),
        )
        if known:
            return str(known[0][0])
        with real.open("rb") as stream:
            digest = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise FileError(f"Cannot read {path}: {error.strerror}.", "Check the path and its permissions.") from error
    with contextlib.suppress(StoreBlockedError), store.write() as connection:  # it is only read anew next time
        connection.execute(
            "INSERT OR REPLACE INTO fingerprints VALUES (?, ?, ?, ?)",
            (str(real), state.st_size, state.st_mtime_ns, digest),
        )
    return digest
