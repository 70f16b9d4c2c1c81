"""A damaged store is copied aside, and what its tables still give takes its place, row by row.

The damaged file is kept as a copy and never deleted. The new content goes through SQLite's own backup, so that other
processes which have the file open see it too; a file that is no database at all is moved and a new one made.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from workbench import files
from workbench.errors import StoreError
from workbench.store.schema import MIGRATIONS, UPGRADED_TEXTS
from workbench.store.validity import COLUMNS, find_missing_columns, typed
from workbench.units import format_plural

try:
    import fcntl
except ImportError:  # no such locks on this system: two processes that recover at once are then not kept apart
    fcntl = None  # type: ignore[assignment]

_SIDE_FILES = ("", "-wal", "-shm")
_BUSY_SECONDS = 5.0
SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What the library raises; the second where SQLite's own message repeats damaged bytes of the file."""
_DOUBLINGS = 62  # beyond lies no number that SQLite can hold

_ABSENT: Mapping[str, Mapping[str, str]] = {
    "runs": {"options": "'{}'", "folder": "''", "dataset": "''", "digest": "''", "state": "'stopped'"},
    "completions": {
        **dict.fromkeys(("prompt_tokens", "cached_tokens", "output_tokens", "thinking_tokens", "reusable"), "0"),
        **dict.fromkeys(
            (
                "seconds_to_first_token",
                "seconds_to_first_answer_token",
                "tokens_per_second",
                "elapsed_seconds",
                "share_seconds",
            ),
            "0.0",
        ),
        "thinking": "''",
    },
    "cells": {"failed": "error IS NOT NULL", "cached": "0", "cost": "0.0"},
    "cases": {"line": "0"},
}
"""What a row has where its table lost the column, as far as that is safe to say: no score and no direction is."""


_FORMER: Mapping[str, Mapping[str, str]] = {
    "completions": {
        "reusable": "kept",
        "seconds_to_first_token": "first_seconds",
        "seconds_to_first_answer_token": "first_answer_seconds",
        "tokens_per_second": "rate",
        "elapsed_seconds": "seconds",
        "deterministic": "reproducible",
    },
    "scores": {"details": "more"},
    "variants": {"position": "place"},
    "metrics": {"position": "place"},
}
"""What columns were called up to version 7, whose files may be damaged too."""


class Recovery(NamedTuple):
    """aside: where the damaged file lies now. rows: that were read, by table; lost: those seen that could not be kept.
    torn: the tables of which some part could not be read at all, so that nobody knows how many rows it held."""

    path: Path
    aside: Path
    rows: Counter[str]
    lost: Counter[str]
    torn: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What happened, for a person."""
        text = f"The store {self.path} was damaged; that file is kept as {self.aside.name}."
        if not self.rows.total():
            return f"{text} Nothing in it could be read: the store starts empty."

        def count(noun: str) -> str:
            return format_plural(self.rows[f"{noun}s"], noun)

        kept = f"{count('run')} with {count('cell')} and {count('vote')}"
        text += f" Recovered from it: {kept}."
        if self.lost.total():
            text += f" {format_plural(self.lost.total(), 'row')} could not be recovered."
        if self.torn:
            text += f" Parts of these tables are lost: {', '.join(self.torn)}."
        return text


def is_damaged(path: Path) -> bool:
    """Whether a store's file is torn, or lacks tables or columns of the version that it says it has.

    Reads all of the file. Raises sqlite3.Error for what is no sign of damage, such as a file that is locked.
    """
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection:
            ((found,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
            return found != "ok" or bool(find_missing_columns(connection))
    except SQLITE_ERRORS as error:
        if is_damage_error(error):
            return True
        raise


def is_damage_error(error: Exception) -> bool:
    """Whether SQLite said by an error that a file is damaged, or is none of its own."""
    if isinstance(error, UnicodeDecodeError):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def recover(path: Path, sure: bool = False) -> Recovery | None:
    """Keep a copy of a damaged store, and put what can be read of it in its place; None where it is not damaged (any
    more): another process may have been quicker.

    sure: it is damaged, whatever `is_damaged` finds.
    Raises StoreError when the folder cannot be written; the file is then as it was.
    """
    try:
        with _exclusive(path.parent):
            return _recover(path) if sure or is_damaged(path) else None
    except (OSError, *SQLITE_ERRORS) as error:
        raise StoreError(
            f"{path} is damaged and cannot be recovered: {getattr(error, 'strerror', None) or error}.",
            "Check the folder's rights and the space on its disk. The file is as it was.",
        ) from error


def _recover(path: Path) -> Recovery:
    fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    fresh.unlink(missing_ok=True)
    files.make_private(fresh)
    try:
        with contextlib.closing(sqlite3.connect(fresh, isolation_level=None)) as target:
            target.execute(f"PRAGMA page_size = {_read_page_size(path)}")
            for step in MIGRATIONS:
                target.executescript(step)
            head = _read_schema_pages(target, fresh)
            copied = _copy_all(path, target, Recovery(path, path, Counter(), Counter(), ()))
            if set(copied.torn) & {"runs", "inputs", "completions", "cells"}:
                copied = _copy_under_new_head(path, target, copied, head)
            target.executescript(UPGRADED_TEXTS)
            target.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            aside = _name_aside(path)
            if not _put_into(target, path, aside):
                target.execute("PRAGMA journal_mode = WAL")
        if not path.exists():
            fresh.replace(path)
    finally:
        for suffix in _SIDE_FILES:
            fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)
    return copied._replace(path=path, aside=aside)


def _read_schema_pages(connection: sqlite3.Connection, path: Path) -> dict[int, bytes]:
    """The pages of a new store, by number from 0, in which no table or index lies: those of its schema."""
    size, data = _read_page_size(path), path.read_bytes()
    roots = {root for (root,) in connection.execute("SELECT rootpage FROM sqlite_schema")}
    pages = range(len(data) // size)
    return {page: data[page * size : (page + 1) * size] for page in pages if page + 1 not in roots}


def _copy_under_new_head(path: Path, target: sqlite3.Connection, copied: Recovery, head: dict[int, bytes]) -> Recovery:
    """Copy again from the file under the schema of a new store: where the schema is damaged, so are the places of all
    tables, which lie where those of any new store do (those of later versions may not).

    head: the pages of that schema. The layout is that of https://www.sqlite.org/fileformat2.html: at byte 28, how many
    pages the file has.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}.head.tmp")
    try:
        files.make_private(scratch)
        shutil.copyfile(path, scratch)
        size = len(head[0])
        pages = scratch.stat().st_size // size
        with scratch.open("r+b") as stream:
            for page, content in head.items():
                stream.seek(page * size)
                stream.write(content if page else content[:28] + pages.to_bytes(4, "big") + content[32:])
        return _copy_all(scratch, target, copied, doubtful=True)
    finally:
        for suffix in ("", "-journal", "-wal", "-shm"):
            scratch.with_name(scratch.name + suffix).unlink(missing_ok=True)


def _copy_all(path: Path, target: sqlite3.Connection, copied: Recovery, doubtful: bool = False) -> Recovery:
    """Copy every table. doubtful: the torn ones again, and only rows whose values have the right types, since another
    table may lie there."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=_BUSY_SECONDS)) as source:
        source.text_factory = _decode
        with contextlib.suppress(*SQLITE_ERRORS):  # a schema of which one line is damaged is read without that line
            source.execute("PRAGMA writable_schema = ON")
        with contextlib.suppress(*SQLITE_ERRORS):  # hold off writers, where the file is sound enough for that
            source.execute("BEGIN IMMEDIATE")
        target.execute("BEGIN")
        tables = copied.torn if doubtful else tuple(COLUMNS)
        torn = tuple([table for table in tables if _copy(source, target, table, copied, doubtful)])
        target.execute("COMMIT")
    return copied._replace(torn=torn)


def _put_into(target: sqlite3.Connection, path: Path, aside: Path) -> bool:
    """Copy the damaged file aside and write the recovered content into it; where SQLite cannot, the file was moved."""
    for suffix in _SIDE_FILES[:2]:
        found = path.with_name(path.name + suffix)
        if found.exists():
            shutil.copy2(found, aside.with_name(aside.name + suffix))
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=_BUSY_SECONDS)) as damaged:
            target.backup(damaged)
        return True
    except SQLITE_ERRORS as error:
        if not is_damage_error(error):
            raise
    for suffix in reversed(_SIDE_FILES):
        path.with_name(path.name + suffix).unlink(missing_ok=True)  # the copy is there
    return False


def _decode(value: bytes) -> str:
    return value.decode(errors="replace")


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, table: str, copied: Recovery, doubtful: bool) -> bool:
    """Copy what can be read of a table; whether a part of it could not be."""
    try:
        there = {row[1] for row in source.execute(f"PRAGMA main.table_info({table})")}
    except SQLITE_ERRORS:
        return True
    former = {name: old for name, old in _FORMER.get(table, {}).items() if name not in there and old in there}
    names = [name for name in COLUMNS[table] if name in there or name in former]
    if not names:
        return True
    absent = {name: value for name, value in _ABSENT.get(table, {}).items() if name not in names}
    if "error" not in there:
        absent.pop("failed", None)
    values = ", ".join((*(former.get(name, name) for name in names), *absent.values()))
    marks = ", ".join("?" * (len(names) + len(absent)))
    insert = f"INSERT INTO {table} ({', '.join((*names, *absent))}) VALUES ({marks})"
    rows = f"(SELECT * FROM main.{table} AS t WHERE {typed(table, 't')})" if doubtful else f"main.{table}"
    walk = _TableWalk(
        source, f"SELECT {values} FROM {rows}", [former.get(name, name) for name in names], _list_run_keys(target)
    )
    for row in walk.rows():
        try:
            copied.rows[table] += target.execute(insert, row).rowcount
        except sqlite3.IntegrityError as error:
            copied.lost[table] += (
                "UNIQUE" not in str(error) and not walk.torn
            )  # a second walk meets the same rows again
    return walk.torn


def _list_run_keys(target: sqlite3.Connection) -> list[int]:
    return [key for (key,) in target.execute("SELECT key FROM runs")]


class _TableWalk:
    """The rows of a table that can be read: from its beginning on, from its end back, and beyond each damaged place."""

    def __init__(self, source: sqlite3.Connection, query: str, names: list[str], runs: list[int]) -> None:
        self._source, self._query, self._names, self._runs = source, query, names, runs
        self.torn = False

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """A row comes more than once where the table is torn."""
        yield from self._read("")
        if not self.torn:
            return
        key = next((name for name in ("key", "number", "position", "place") if name in self._names), None)
        if key is None:
            yield from self._read(f"ORDER BY {self._names[0]} DESC")
            return
        for own in [f"run = {run} AND" for run in self._runs] if "run" in self._names and key != "key" else [""]:
            yield from self._read(f"WHERE {own} {key} IS NOT NULL ORDER BY {key} DESC")
            for power in range(_DOUBLINGS):  # seeks beyond the damaged place, further each time
                yield from self._read(f"WHERE {own} {key} BETWEEN {1 << power} AND {(2 << power) - 1} ORDER BY {key}")

    def _read(self, rest: str) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._source.execute(f"{self._query} {rest}")
        except SQLITE_ERRORS:
            self.torn = True


def _read_page_size(path: Path) -> int:
    """As the file's header says; SQLite's own where that cannot be."""
    with path.open("rb") as stream:
        size = int.from_bytes(stream.read(18)[16:18], "big")
    return size if size in (512, 1024, 2048, 4096, 8192, 16384, 32768) else 4096


def _name_aside(path: Path) -> Path:
    stem = f"{path.stem}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
    names = (stem, *(f"{stem}-{count}" for count in range(2, 1000)))
    return next(found for name in names if not (found := path.with_name(f"{name}{path.suffix}")).exists())


@contextlib.contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """No other process recovers a store in this folder meanwhile."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
