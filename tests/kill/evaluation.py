"""An evaluation in processes of its own, one of which is killed at a random moment, and gone on with to its end.

Answers are computed each by itself, so that they are the same however many are made at a time. Moments are told by what
has happened (so many cells are in the store), never by a clock.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from workbench.evaluation.view import RunView
from workbench.store.cells import read_cells
from workbench.store.store import Store

Victim = Literal["run", "engine", "scorer"]
VICTIMS: tuple[Victim, ...] = ("run", "engine", "scorer")
SIGNALS = ("SIGKILL", "SIGTERM", "SIGHUP", "SIGSTOP")
CASES = 24
PATIENCE = 180
_ROOT = Path(__file__).parents[2]
_MAIN = f"import sys; sys.path.append({str(_ROOT)!r}); from workbench.__main__ import main; sys.exit(main())"
_MODULES = {"engine": "workbench.hosting.child", "scorer": "workbench.evaluation.scoring.child"}
_MOST_ATTEMPTS = 8
_BENCH = """\
variants:
  - {name: short, prompt: ask, model: tiny.gguf, sampling: {max_tokens: 8}}
  - {name: long, prompt: ask, model: tiny.gguf, sampling: {max_tokens: 24}}
dataset: {path: cases.jsonl}
scorers: [{python: {file: judge.py, scale: free}}]
"""

Cells = dict[tuple[int, int], tuple[str, float, bool]]
"""case and variant -> answer, value of its score, whether that applies"""


@dataclass(frozen=True, slots=True)
class Kill:
    """Which process gets which signal, once so many cells are in the store. faults: what had not survived it."""

    victim: Victim
    signal: str
    after: int
    faults: tuple[str, ...] = ()


def write_project(folder: Path, gguf: Path) -> None:
    """A bench that asks a tiny model and is judged by a function of its own."""
    folder.mkdir(parents=True)
    shutil.copyfile(gguf, folder / "tiny.gguf")
    (folder / "ask.prompty").write_text("user:\n{{ message }}\n")
    (folder / "judge.py").write_text("def score(answer): return len(answer)\n")
    (folder / "cases.jsonl").write_text("".join(f'{{"message": "number {n}"}}\n' for n in range(1, CASES + 1)))
    (folder / "demo.bench.yaml").write_text(_BENCH)


class Trial:
    """One evaluation with a home of its own."""

    def __init__(self, project: Path, home: Path) -> None:
        self._project, self._home = project, home
        self._waited = threading.Event()

    def run_undisturbed(self) -> Cells:
        code = self._start("eval", "demo.bench.yaml", "--reproducible", "--trust").wait(PATIENCE)
        assert code == 0, f"an undisturbed run ended with {code}"
        return self.read()

    def run_with(self, kill: Kill, expected: Cells) -> Kill:
        """Carry it out with a kill, go on until all is done, and hold it against what an undisturbed one gave."""
        process = self._start("eval", "demo.bench.yaml", "--reproducible", "--trust", "--at-once", "4")
        self._kill(process, kill)
        process.wait(PATIENCE)
        early = self.read()
        faults = [f"torn: {text}" for text in self._check_store()]
        codes = [process.returncode]
        while codes[-1] != 0 and len(codes) < _MOST_ATTEMPTS:
            codes.append(self._start("eval", "--retry-failed", "last").wait(PATIENCE))
        late = self.read()
        if codes[-1] != 0:
            faults.append(f"it never ended well: exit codes {codes}")
        kept = {key: early[key][0] for key in early if early[key][0]}
        faults += [f"lost or changed: {key}" for key, text in kept.items() if late.get(key, ("",))[0] != text]
        faults += [f"another result: {key}: {late.get(key)}" for key in expected if late.get(key) != expected[key]]
        faults += [f"orphan: {line}" for line in self._find_orphans()]
        faults += [f"left over: {path}" for path in self._find_leftovers()]
        return Kill(kill.victim, kill.signal, kill.after, tuple(faults))

    def read(self) -> Cells:
        """The cells that are in the store."""
        path = self._home / "data" / "workbench.sqlite"
        if not path.exists():
            return {}
        store = Store(path)
        try:
            if not store.read("SELECT 1 FROM runs"):
                return {}
            run = RunView(store, "last").run.key
            return {
                (cell.number, cell.variant): (
                    "" if cell.failed else cell.answer.text,
                    cell.scores[0].value if cell.scores else -1.0,
                    bool(cell.scores) and cell.scores[0].applies,
                )
                for cell in read_cells(store, run)
            }
        finally:
            store.close()

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-P", "-c", _MAIN, *arguments],
            cwd=self._project,
            env={**os.environ, "WORKBENCH_HOME": str(self._home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _kill(self, process: subprocess.Popen[bytes], kill: Kill) -> None:
        """Send the signal; one that stops a process lets it go on once the others had their turn."""
        self._wait(lambda: process.poll() is not None or self._count() >= kill.after)
        found: list[psutil.Process] = []

        def look() -> bool:
            found[:] = self._find(process, kill.victim)
            return bool(found) or process.poll() is not None

        self._wait(look)
        for victim in found:
            try:
                victim.send_signal(getattr(signal, kill.signal))
                if kill.signal == "SIGSTOP":
                    self._waited.wait(1)
                    victim.send_signal(signal.SIGCONT)
            except psutil.NoSuchProcess:
                continue

    def _find(self, process: subprocess.Popen[bytes], victim: Victim) -> list[psutil.Process]:
        try:
            main = psutil.Process(process.pid)
            if victim == "run":
                return [main]
            return [one for one in main.children() if _MODULES[victim] in one.cmdline()]
        except psutil.Error:
            return []

    def _count(self) -> int:
        path = self._home / "data" / "workbench.sqlite"
        if not path.exists():
            return 0
        try:
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
                return int(connection.execute("SELECT count(*) FROM cells").fetchone()[0])
        except sqlite3.Error:
            return 0

    def _wait(self, condition: Callable[[], bool]) -> None:
        for _ in range(PATIENCE * 100):
            if condition():
                return
            self._waited.wait(0.01)
        raise AssertionError("what was waited for did not happen")

    def _check_store(self) -> list[str]:
        path = self._home / "data" / "workbench.sqlite"
        if not path.exists():
            return []
        with sqlite3.connect(path) as connection:
            return [text for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok"]

    def _find_orphans(self) -> list[str]:
        for _ in range(1000):
            found = [one for one in psutil.process_iter() if self._is_ours(one)]
            if not found:
                return []
            self._waited.wait(0.01)
        return [repr(one) for one in found]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get("WORKBENCH_HOME") == str(self._home)
        except (psutil.Error, OSError):
            return False

    def _find_leftovers(self) -> list[Path]:
        scratch = self._home / "cache" / "scratch"
        return [*self._home.rglob("*.tmp"), *(scratch.iterdir() if scratch.exists() else ())]


def draw_kill(number: int, seed: int) -> Kill:
    """The victim goes round; the signal and the moment are drawn."""
    chance = random.Random(f"{seed} {number}")
    return Kill(VICTIMS[number % len(VICTIMS)], chance.choice(SIGNALS), chance.randrange(2 * CASES - 8))
