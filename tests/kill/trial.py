"""A trial: commands with a home of their own, one of whose processes is killed, and what must hold afterwards.

Moments are told by what has happened (so many cells are stored, so many updates made), never by a clock.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from workbench.runs.view import RunView
from workbench.store.cells import read_cells
from workbench.store.store import Store

PATIENCE = 240
"""seconds until something that is waited for must have happened, on a busy machine"""

MODULES = {
    "engine": "workbench.inference.worker.main",
    "scorer": "workbench.scoring.server",
    "job": "workbench.training.child.__main__",
}
"""victim -> the module that its process runs"""

_ROOT = Path(__file__).parents[2]
_MAIN = f"import sys; sys.path.append({str(_ROOT)!r}); from workbench.__main__ import main; sys.exit(main())"

Cells = dict[tuple[int, int], tuple[str, float, bool]]
"""case and variant -> answer, value of its first score, whether that applies"""


@dataclass(frozen=True, slots=True)
class Kill:
    """What becomes of which process, once so much has happened. faults: what had not survived it.

    signal: a signal's name, or "closed" for the terminal itself. pause: seconds that SIGSTOP lasts.
    """

    kind: str
    victim: str
    signal: str
    after: int
    pause: float = 1.0
    faults: tuple[str, ...] = ()


class KillTrial:
    """Commands of one home, in one project."""

    def __init__(self, project: Path, home: Path) -> None:
        self.project, self.home = project, home
        self.runtime = home / "runtime"
        self.runtime.mkdir(mode=0o700, parents=True)
        self._waited = threading.Event()

    # --- carrying it out -----------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "WORKBENCH_HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.runtime)}

    @staticmethod
    def command(*arguments: str) -> list[str]:
        return [sys.executable, "-P", "-c", _MAIN, *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A command without a terminal."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Until it holds. Raises AssertionError when it does not come to that."""
        for _ in range(PATIENCE * 100):
            if condition():
                return
            self._waited.wait(0.01)
        raise AssertionError(f"{what}: waited for in vain")

    def send(self, victims: Iterable[psutil.Process], kill: Kill) -> None:
        """The signal; one that stops a process lets it go on once the others had their turn."""
        for victim in victims:
            try:
                victim.send_signal(getattr(signal, kill.signal))
                if kill.signal == "SIGSTOP":
                    self._waited.wait(kill.pause)
                    victim.send_signal(signal.SIGCONT)
            except psutil.NoSuchProcess:
                continue

    def ours(self) -> Iterator[psutil.Process]:
        """The processes of this home."""
        for process in psutil.process_iter():
            try:
                if process.environ().get("WORKBENCH_HOME") == str(self.home):
                    yield process
            except (psutil.Error, OSError):
                continue

    def find(self, victim: str) -> list[psutil.Process]:
        """The processes that are such a victim."""
        return [one for one in self.ours() if MODULES[victim] in _command_line(one)]

    # --- what is left --------------------------------------------------------------------------------------------

    def check(self) -> Iterator[str]:
        """What must not be there after the last command: a torn store, orphans, left-over files, stale locks."""
        yield from (f"torn store: {text}" for text in self.check_store())
        yield from (f"orphan: {line}" for line in self._find_orphans())
        yield from (f"left over: {path}" for path in self._find_leftovers())

    @property
    def store_path(self) -> Path:
        return self.home / "data" / "workbench.sqlite"

    def check_store(self) -> list[str]:
        if not self.store_path.exists():
            return []
        with sqlite3.connect(self.store_path) as connection:
            return [text for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok"]

    def count_cells(self) -> int:
        if not self.store_path.exists():
            return 0
        try:
            with sqlite3.connect(f"file:{self.store_path}?mode=ro", uri=True) as connection:
                return int(connection.execute("SELECT count(*) FROM cells").fetchone()[0])
        except sqlite3.Error:
            return 0

    def read_cells(self) -> Cells:
        """The cells of the last run that are in the store."""
        if not self.store_path.exists():
            return {}
        store = Store(self.store_path)
        try:
            if not store.read("SELECT 1 FROM runs"):
                return {}
            run = RunView(store, "last").run.key
            return {
                (cell.number, cell.variant): (
                    "" if cell.failed else cell.stored.completion.text,
                    cell.scores[0].value if cell.scores else -1.0,
                    bool(cell.scores) and cell.scores[0].applies,
                )
                for cell in read_cells(store, run)
            }
        finally:
            store.close()

    def _find_orphans(self) -> list[str]:
        found: list[psutil.Process] = []

        def are_gone() -> bool:
            found[:] = self.ours()
            return not found

        try:
            self.wait(are_gone, "the end of all processes")
        except AssertionError:
            return [f"{one} {_command_line(one)[-3:]}" for one in found]
        return []

    def _find_leftovers(self) -> list[Path]:
        scratch = self.home / "cache" / "scratch"
        found = [*self.home.rglob("*.tmp"), *self.home.rglob("*.saving"), *self.home.rglob("*.making")]
        claims = (self.runtime / "workbench").glob("*")
        return [*found, *claims, *(scratch.iterdir() if scratch.exists() else ())]


def compare_cells(early: Cells, late: Cells, expected: Cells) -> Iterator[str]:
    """What was stored when the kill came and is not there any more, and what differs from an undisturbed run."""
    kept = {key: early[key][0] for key in early if early[key][0]}
    yield from (f"lost or changed: {key}" for key, text in kept.items() if late.get(key, ("",))[0] != text)
    yield from (f"another result: {key}: {late.get(key)}" for key in expected if late.get(key) != expected[key])


def _command_line(process: psutil.Process) -> list[str]:
    try:
        found: list[str] = process.cmdline()
    except psutil.Error:
        return []
    return found
