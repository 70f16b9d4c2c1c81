"""What lies around the engines: libraries, sqlite, folders, disk, clock."""

from __future__ import annotations

import errno
import shlex
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from workbench.doctor.finding import Finding, failed, ok, warning
from workbench.package_commands import install_own, pip_install
from workbench.units import format_bytes

if TYPE_CHECKING:
    from packaging.requirements import Requirement

NAMED = ("torch", "transformers", "peft", "trl", "textual")
OPTIONAL = {"bitsandbytes": "8-bit and 4-bit Hugging Face models"}
ENGINES = ("llama-cpp-python",)
"""Has a check of its own, since pip alone would build it for this machine in the wrong way."""

OLDEST_SQLITE = (3, 38, 0)
"""The first version with its JSON functions built in: https://sqlite.org/json1.html"""

LEAST_DISK_BYTES = 2**30
_SQLITE_UPDATE = "brew upgrade sqlite" if sys.platform == "darwin" else "sudo apt install --only-upgrade libsqlite3-0"
_CLOCK = "sudo sntp -sS time.apple.com" if sys.platform == "darwin" else "sudo timedatectl set-ntp true"
_DAY_SECONDS = 86_400
_FULL = (errno.ENOSPC, errno.EDQUOT)


def find_version(package: str) -> str | None:
    """The version of an installed package; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def check_libraries(
    required: Sequence[str] | None = None, find: Callable[[str], str | None] = find_version
) -> Iterator[Finding]:
    """Every package that the workbench requires, in a version that it can use. required: as pip writes requirements."""
    from packaging.requirements import Requirement

    listed = _read_requirements() if required is None else required
    if listed is None:
        yield failed("libraries", "the package `workbench` is not installed in this environment", install_own())
        return
    needed = [one for one in map(Requirement, listed) if one.name not in ENGINES]
    wrong = [finding for one in needed if _applies(one) and (finding := _check_requirement(one, find(one.name)))]
    yield from wrong
    if not wrong:
        versions = {name: version for name in NAMED if (version := find(name))}
        yield ok("libraries", ", ".join(f"{name} {version}" for name, version in versions.items()), **versions)
    for name, use in OPTIONAL.items():
        found = find(name)
        yield ok(name, found or f"not installed; needed only for {use}")


def _read_requirements() -> Sequence[str] | None:
    try:
        return metadata.requires("workbench") or ()
    except metadata.PackageNotFoundError:  # started from a folder of the source
        return None


def _applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def _check_requirement(requirement: Requirement, found: str | None) -> Finding | None:
    if found is not None and requirement.specifier.contains(found, prereleases=True):
        return None
    wanted = f"{requirement.name}{requirement.specifier}"
    return failed(requirement.name, f"expected {wanted}, found {found or 'none'}", pip_install(f"'{wanted}'"))


def check_sqlite(folder: Path, library: ModuleType = sqlite3) -> Finding:
    """The version, JSON functions, and a write-ahead log in the folder of the store, which is there."""
    version = library.sqlite_version
    if library.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        return failed("sqlite", f"expected {oldest} or newer, found {version}", _SQLITE_UPDATE, version=version)
    try:
        with tempfile.TemporaryDirectory(dir=folder) as own:
            connection = library.connect(Path(own) / "probe.sqlite")
            try:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
                connection.execute("CREATE TABLE probe (body TEXT)")
                connection.execute("""INSERT INTO probe VALUES ('{"a": [7]}')""")
                value = _extract(connection)
            finally:
                connection.close()
    except (OSError, library.Error) as error:
        command = _list_largest(folder) if "full" in str(error) else _move_home()
        return failed("sqlite", f"{version} cannot keep a database in {folder}: {error}", command)
    if mode != "wal":
        return failed("sqlite", f"no write-ahead log in {folder}, which may lie on a network", _move_home())
    if value != 7:
        return failed("sqlite", f"{version} has no working JSON functions", _SQLITE_UPDATE)
    return ok("sqlite", f"{version}, with a write-ahead log and JSON", version=version)


def _extract(connection: sqlite3.Connection) -> object:
    try:
        return connection.execute("SELECT json_extract(body, '$.a[0]') FROM probe").fetchone()[0]
    except sqlite3.OperationalError:  # a library that was built without them
        return None


def _move_home() -> str:
    return "export WORKBENCH_HOME=/var/tmp/workbench-$(id -u)"


def _list_largest(folder: Path) -> str:
    return f"du -xh -d 2 {shlex.quote(str(folder.parent))} | sort -h | tail"


def check_folder(name: str, folder: Path) -> Finding:
    """Whether a file can be made in a folder, and how much room is left."""
    existing = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x" * 4096)
            file.flush()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return failed(name, f"{folder} cannot be written: {error.strerror}", _mend_folder(error, folder, existing))
    if free < LEAST_DISK_BYTES:
        text = f"only {format_bytes(free)} free on the disk of {folder}"
        return failed(name, text, _list_largest(folder), free_bytes=free)
    return ok(name, f"{folder}, {format_bytes(free)} free", free_bytes=free)


def _mend_folder(error: OSError, folder: Path, existing: Path) -> str:
    """The command for a folder that cannot be written. existing: it, or the nearest one above it."""
    quoted = shlex.quote(str(existing))
    if error.errno in _FULL:
        return _list_largest(folder)
    if folder == existing and existing.is_file():
        return f"mv {quoted} {quoted}.old"
    if error.errno == errno.EROFS or not existing.is_dir():  # a variable names something that is no folder at all
        return _move_home()
    return f"sudo chown -R $(id -u) {quoted} && chmod -R u+rwX {quoted}"


def check_clock(now: float | None = None, written: float | None = None) -> Finding:
    """Whether the clock is behind the files of this installation: certificates are then not valid yet.

    now, written: seconds, as `time.time` and a file's time have them.
    """
    now = time.time() if now is None else now
    written = Path(__file__).stat().st_mtime if written is None else written
    shown = time.strftime("%Y-%m-%d %H:%M", time.localtime(now))
    if now < written - _DAY_SECONDS:
        installed = time.strftime("%Y-%m-%d", time.localtime(written))
        return warning("clock", f"it says {shown}, but this installation was written on {installed}", _CLOCK)
    return ok("clock", shown)
