"""The store's file: opened, brought up to date, read and written safely by several threads and processes.

A change is on its way to the disk before `write` returns: a killed process loses nothing of it; a power cut may take
the last moments, and never leaves the file torn.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from workbench import files
from workbench.errors import StoreBlockedError, StoreError
from workbench.store.recovery import SQLITE_ERRORS, is_damage_error, recover
from workbench.store.schema import MIGRATIONS
from workbench.store.validity import create_views, drop_views, find_missing_columns, is_utf8

_RETRY_SECONDS = 0.02


class _ThreadConnection(NamedTuple):
    """A thread's connection. in_use: held while the thread works with it: closing it then would end the process."""

    connection: sqlite3.Connection
    in_use: threading.RLock

    def close(self) -> None:
        """Stop what is read and wait for what is written; then close."""
        while not self.in_use.acquire(timeout=_RETRY_SECONDS):
            with contextlib.suppress(sqlite3.Error):
                if not self.connection.in_transaction:
                    self.connection.interrupt()
        try:
            self.connection.close()
        finally:
            self.in_use.release()


class Store:
    """One SQLite file; every method may be called from any thread."""

    def __init__(self, path: Path, busy_seconds: float = 10.0) -> None:
        """Open it, made new where there is none.

        busy_seconds: how long to wait for another process that is writing.
        A damaged one is recovered as far as it can be read (recovery.py); `notice` then says so.
        Raises StoreError when it cannot be opened, or was made by a newer workbench.
        """
        self.path = path
        self.notice = ""
        """what a person has to know of the file, in words; "" where there is nothing"""
        self._busy_seconds = busy_seconds
        self._local = threading.local()
        self._lock = threading.Lock()
        self._connections: list[_ThreadConnection] = []
        try:
            files.make_folder(path.parent)
            self._make_private()
        except OSError as error:
            raise StoreError(f"Cannot make the store {path}: {error.strerror}.", "Check its rights.") from error
        with self._explained():
            self._open()

    def read(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """The rows of a query."""
        with self._explained(), self._connection() as connection:
            return connection.execute(query, values).fetchall()

    def read_many(self, query: str, values: Sequence[Any] = (), at_once: int = 500) -> Iterator[Any]:
        """The rows of a query of any size, held a few at a time, as they stood when it began."""
        with self._explained():
            held = self._own()
            with held.in_use:
                cursor = held.connection.execute(query, values)
                rows = cursor.fetchmany(at_once)
            while rows:
                yield from rows
                with held.in_use:
                    rows = cursor.fetchmany(at_once)

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all that is done in it is kept when it ends, or nothing of it when it fails. One inside
        another of the same thread is a part of it."""
        with self._explained(), self._transaction() as connection:
            yield connection

    def close(self) -> None:
        """Close the file, from any thread; no method may be called after it. What another thread reads is stopped."""
        with self._lock:
            connections, self._connections = self._connections, []
            self._local = threading.local()
        for connection in connections:
            connection.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._connection() as connection:
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")  # a full disk may have done so already
                raise

    def _make_private(self) -> None:
        """Prompts and answers are the user's own affair; SQLite gives its other files the rights of this one."""
        with contextlib.suppress(PermissionError):  # another user's, or read only: SQLite tells what it cannot do
            files.make_private(self.path)
            for suffix in ("-wal", "-shm"):
                other = self.path.with_name(self.path.name + suffix)
                if other.exists():
                    files.make_private(other)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """This thread's own connection, which is not closed while it is used."""
        held = self._own()
        with held.in_use:
            yield held.connection

    def _own(self) -> _ThreadConnection:
        held: _ThreadConnection | None = getattr(self._local, "held", None)
        if held is None:
            held = self._local.held = self._connect()
        return held

    def _connect(self) -> _ThreadConnection:
        connection = sqlite3.connect(
            self.path, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False
        )
        held = _ThreadConnection(connection, threading.RLock())
        with held.in_use:
            with self._lock:
                self._connections.append(held)
            # a file from elsewhere may bring triggers and views of its own
            connection.executescript(
                "PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;"
            )
            connection.text_factory = _decode
            connection.create_function("holds", 2, _holds, deterministic=True)
            connection.create_function("holds_inside", 2, _holds_inside, deterministic=True)
            connection.create_function("is_utf8", 1, is_utf8, deterministic=True)
            create_views(connection)
        return held

    def _open(self) -> None:
        """Bring the file up to date; where it is damaged, recover it first."""
        sure = False
        try:
            self._migrate()
            with self._connection() as connection:
                if not find_missing_columns(connection):
                    return
        except SQLITE_ERRORS as error:
            sure = _is_other_schema(error)
            if not sure and not is_damage_error(error):
                raise
        self.close()
        recovered = recover(self.path, sure)
        if recovered:
            self.notice = recovered.sentence
        self._migrate()

    def _migrate(self) -> None:
        with self._connection() as connection:
            if self._version(connection) == len(MIGRATIONS):
                return
            self._use_wal(connection)
            with self._transaction():
                drop_views(connection)  # a column that a view names cannot be renamed
                for step in MIGRATIONS[max(self._version(connection), 0) :]:  # another process may have gone ahead
                    for statement in step.split(";\n"):
                        connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            create_views(connection)

    def _version(self, connection: sqlite3.Connection) -> int:
        """The file's version. Raises StoreError for one from the future, before anything is touched."""
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(MIGRATIONS):
            raise StoreError(
                f"{self.path} was written by a newer workbench: its version is {version}, and this one reads up to"
                f" {len(MIGRATIONS)}.",
                "Update the workbench, or set WORKBENCH_HOME to another folder. Nothing was changed in the file.",
            )
        return version

    def _use_wal(self, connection: sqlite3.Connection) -> None:
        """Let readers and a writer work side by side. SQLite does not wait by itself where two processes do this."""
        deadline = time.monotonic() + self._busy_seconds
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_SECONDS)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except SQLITE_ERRORS as error:
            raise self._explain(error) from error

    def _explain(self, error: Exception) -> StoreError:
        message = str(error)
        code = sqlite3.SQLITE_CORRUPT if is_damage_error(error) else getattr(error, "sqlite_errorcode", 0)
        match code & 0xFF:
            case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
                problem = "The disk is full" if "full" in message else f"The disk cannot be written or read ({message})"
                return StoreBlockedError(
                    f"{problem}: {self.path} cannot take any more.",
                    "Free some space. All that was stored before is safe; go on with `workbench eval --resume`.",
                )
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return StoreBlockedError(
                    f"Another process has kept {self.path} busy for more than {self._busy_seconds:g} s.",
                    "Try again when it is done.",
                )
            case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
                return StoreBlockedError(
                    f"{self.path} cannot be opened or written: {message}.", "Check the file's rights and its folder's."
                )
            case sqlite3.SQLITE_CORRUPT:
                recovered = recover(self.path)
                if recovered:
                    return StoreError(recovered.sentence, "Try again: what was recovered is there.")
                return StoreError(f"A part of {self.path} could not be read: {message}.", "Try again.")
        return StoreError(f"{self.path} cannot be used: {message}.", "Run again.", repr(error))


_decode = partial(str, encoding="utf-8", errors="replace")
"""A text whose bytes are damaged is shown with a sign in their place (damage.py names it)."""


def _is_other_schema(error: Exception) -> bool:
    """Whether a migration failed because tables or columns are not those of the version that the file says it has."""
    return str(error).startswith(("duplicate column", "no such table", "no such column")) or "already exists" in str(
        error
    )


def _holds(text: bytes | None, wanted: str) -> bool:
    """Whether a text contains another one, given in folded case. SQLite's own LIKE folds only English letters."""
    return text is not None and wanted in text.decode(errors="replace").casefold()


def _holds_inside(body: bytes, wanted: str) -> bool:
    """The same for the values of a JSON text; its keys and its spelling do not count. What is no JSON holds nothing."""
    text = body.decode(errors="replace")
    plain = not set(wanted) & set('"\\\n\r\t')
    if plain and wanted not in text.casefold():
        return False
    try:
        return any(wanted in leaf.casefold() for leaf in _leaves(json.loads(text)))
    except (ValueError, RecursionError):
        return False


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
