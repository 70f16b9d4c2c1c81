"""The store of runs: whether it can be read, and whether another process keeps it."""

from __future__ import annotations

import contextlib
import shlex
import sqlite3
from pathlib import Path

from workbench.doctor.finding import Finding, failed, ok, warning
from workbench.store.recovery import SQLITE_ERRORS, is_damage_error
from workbench.store.schema import MIGRATIONS
from workbench.units import format_bytes

_BUSY_SECONDS = 2.0


def check_store(path: Path) -> Finding:
    """Read the version, and take and give back the lock of a writer. Nothing is changed in the file."""
    quoted = shlex.quote(str(path))
    try:
        size = path.stat().st_size
        version = _read_version(path)
    except FileNotFoundError:
        return ok("store", "none yet")
    except SQLITE_ERRORS as error:
        if is_damage_error(error):
            text = f"{path} is damaged: what can be read is recovered when it is opened, and a copy is kept"
            return warning("store", text, "workbench runs")
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            text = f"another process has kept {path} locked for {_BUSY_SECONDS:g} s; it may be stopped or hang"
            return failed("store", text, f"fuser -v {quoted}")
        return failed("store", f"{path} cannot be written: {error}", f"ls -l {quoted}*")
    except OSError as error:
        return failed("store", f"{path} cannot be read: {error.strerror}", f"ls -ld {quoted}")
    if version > len(MIGRATIONS):
        text = f"{path} was written by a newer workbench: its version is {version}, expected {len(MIGRATIONS)} at most"
        return failed("store", text, "export WORKBENCH_HOME=/var/tmp/workbench-$(id -u)")
    return ok("store", f"{path.name}, {format_bytes(size)}", bytes=size)


def _read_version(path: Path) -> int:
    address = f"{path.absolute().as_uri()}?mode=rw"  # never made anew
    with contextlib.closing(
        sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
    ) as connection:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    return version
