"""What lies around the engines: libraries, sqlite, the terminal, folders, disk."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from workbench.doctor.finding import Finding, failed, ok, pip_install, warning
from workbench.units import format_bytes

if TYPE_CHECKING:
    from packaging.requirements import Requirement

NAMED = ("torch", "transformers", "peft", "trl", "textual")
OPTIONAL = {"bitsandbytes": "8-bit and 4-bit Hugging Face models"}
OLDEST_SQLITE = (3, 38, 0)
"""The first version with its JSON functions built in: https://sqlite.org/json1.html"""

LEAST_DISK_BYTES = 2**30
LEAST_SIZE = (80, 24)
_SQLITE_UPDATE = "sudo apt install --only-upgrade libsqlite3-0"


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

    needed = [Requirement(text) for text in (metadata.requires("workbench") or () if required is None else required)]
    wrong = [finding for one in needed if _applies(one) and (finding := _check_requirement(one, find(one.name)))]
    yield from wrong
    if not wrong:
        versions = {name: version for name in NAMED if (version := find(name))}
        yield ok("libraries", ", ".join(f"{name} {version}" for name, version in versions.items()), **versions)
    for name, use in OPTIONAL.items():
        found = find(name)
        yield ok(name, found or f"not installed; needed only for {use}")


def _applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def _check_requirement(requirement: Requirement, found: str | None) -> Finding | None:
    if found is not None and requirement.specifier.contains(found, prereleases=True):
        return None
    wanted = f"{requirement.name}{requirement.specifier}"
    return failed(requirement.name, f"expected {wanted}, found {found or 'none'}", pip_install(f"'{wanted}'"))


def check_sqlite(folder: Path, library: ModuleType = sqlite3) -> Finding:
    """The version, JSON functions, and a write-ahead log in the folder of the store."""
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
                (value,) = connection.execute("SELECT json_extract(body, '$.a[0]') FROM probe").fetchone()
            finally:
                connection.close()
    except (OSError, library.Error) as error:
        return failed("sqlite", f"{version} cannot keep a database in {folder}: {error}", _move_home())
    if mode != "wal":
        return failed("sqlite", f"no write-ahead log in {folder}, which may lie on a network", _move_home())
    if value != 7:
        return failed("sqlite", f"{version} reads JSON wrongly", _SQLITE_UPDATE)
    return ok("sqlite", f"{version}, with a write-ahead log and JSON", version=version)


def _move_home() -> str:
    return "export WORKBENCH_HOME=/var/tmp/workbench-$USER"


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
        command = f"sudo chown -R $USER '{existing}' && chmod -R u+rwX '{existing}'"
        if not existing.is_dir():
            command = f"mv '{existing}' '{existing}.old'"
        return failed(name, f"{folder} cannot be written: {error.strerror}", command)
    if free < LEAST_DISK_BYTES:
        command = f"du -xh --max-depth=2 '{folder.parent}' | sort -h | tail"
        return failed(name, f"only {format_bytes(free)} free on the disk of {folder}", command, free_bytes=free)
    return ok(name, f"{folder}, {format_bytes(free)} free", free_bytes=free)


def check_terminal(
    environment: Mapping[str, str] = os.environ,
    size: tuple[int, int] | None = None,
    encoding: str | None = None,
    read_tmux: Callable[[], str] = lambda: "",
    ask_keyboard: Callable[[], bool | None] = lambda: None,
) -> Iterator[Finding]:
    """Encoding, size, colours, keyboard, clipboard. size: columns and rows; None where standard output is no terminal.

    read_tmux: its option set-clipboard. ask_keyboard: whether it has the kitty keyboard protocol; None if unknown.
    """
    written = (encoding or sys.stdout.encoding or "").lower().replace("-", "")
    if written != "utf8":
        yield failed("encoding", f"expected UTF-8, found {encoding or 'none'}", "export LC_ALL=C.UTF-8")
    else:
        yield ok("encoding", "UTF-8")
    if size is None:
        yield ok("terminal", "none: standard output is a pipe or a file")
        return
    if size == (0, 0):
        yield ok("terminal size", "the terminal does not tell")
    elif size[0] < LEAST_SIZE[0] or size[1] < LEAST_SIZE[1]:
        text = f"{size[0]} x {size[1]} is too small; the screen needs {LEAST_SIZE[0]} x {LEAST_SIZE[1]}"
        yield failed("terminal size", text, r"printf '\e[8;40;120t'")
    else:
        yield ok("terminal size", f"{size[0]} x {size[1]}")
    yield _check_colours(environment)
    yield _check_keyboard(ask_keyboard())
    yield _check_clipboard(environment, read_tmux)


def _check_colours(environment: Mapping[str, str]) -> Finding:
    term = environment.get("TERM", "")
    if term in ("", "dumb"):
        return failed(
            "colours", f"TERM is {term or 'not set'}: the screen cannot be drawn", "export TERM=xterm-256color"
        )
    if environment.get("COLORTERM", "") in ("truecolor", "24bit") or "direct" in term:
        return ok("colours", f"16 million ({term})")
    return ok("colours", f"{256 if '256' in term else 16} ({term}); COLORTERM=truecolor promises more")


def _check_keyboard(kitty: bool | None) -> Finding:
    if kitty is None:
        return ok("keyboard", "not known whether the terminal has the kitty protocol; no key needs it")
    text = (
        "modified keys are told apart (kitty protocol)" if kitty else "ctrl+shift+z is ctrl+z; no key needs the other"
    )
    return ok("keyboard", text, kitty=float(kitty))


def _check_clipboard(environment: Mapping[str, str], read_tmux: Callable[[], str]) -> Finding:
    """OSC 52 has no answer that every terminal gives, so what is known to refuse it is named."""
    if environment.get("TERM_PROGRAM") == "Apple_Terminal":
        return warning("clipboard", "Terminal.app has no OSC 52: copying reaches this program alone")
    if environment.get("TMUX") and read_tmux().strip() == "off":
        return failed("clipboard", "tmux keeps copied text to itself", "tmux set -g set-clipboard on")
    return ok("clipboard", "by OSC 52, where the terminal permits it")
