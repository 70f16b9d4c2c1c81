"""An evaluation in processes of its own, one of which is killed at a random moment, and gone on with to its end.

Answers are computed each by itself, so that they are the same however many are made at a time.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import psutil

from .trial import PATIENCE, Cells, Kill, KillTrial, compare_cells

VICTIMS = ("command", "engine", "scorer")
SIGNALS = ("SIGKILL", "SIGTERM", "SIGHUP", "SIGSTOP")
CASES = 24
MOST_ATTEMPTS = 8
_BENCH = """\
variants:
  - {name: short, prompt: ask, model: tiny.gguf, sampling: {max_tokens: 8}}
  - {name: long, prompt: ask, model: tiny.gguf, sampling: {max_tokens: 24}}
dataset: {path: cases.jsonl}
scorers: [{python: {file: judge.py, scale: free}}]
"""


def write_project(folder: Path, gguf: Path) -> None:
    """A bench that asks a tiny model and is judged by a function of its own."""
    folder.mkdir(parents=True)
    shutil.copyfile(gguf, folder / "tiny.gguf")
    (folder / "ask.prompty").write_text("user:\n{{ message }}\n")
    (folder / "judge.py").write_text("def score(answer): return len(answer)\n")
    (folder / "cases.jsonl").write_text("".join(f'{{"message": "number {n}"}}\n' for n in range(1, CASES + 1)))
    (folder / "demo.bench.yaml").write_text(_BENCH)


class EvaluationTrial(KillTrial):
    """One evaluation with a home of its own."""

    def run_undisturbed(self) -> Cells:
        code = self.start("eval", "demo.bench.yaml", "--deterministic", "--trust").wait(PATIENCE)
        assert code == 0, f"an undisturbed run ended with {code}"
        return self.read_cells()

    def run_with(self, kill: Kill, expected: Cells) -> Kill:
        """Carry it out with a kill, go on until all is done, and hold it against what an undisturbed one gave."""
        process = self.start("eval", "demo.bench.yaml", "--deterministic", "--trust", "--concurrency", "4")
        self._kill(process, kill)
        process.wait(PATIENCE)
        early = self.read_cells()
        faults = [f"torn store: {text}" for text in self.check_store()]
        codes = [process.returncode]
        while codes[-1] != 0 and len(codes) < MOST_ATTEMPTS:
            codes.append(self.start("eval", "--retry-failed", "last").wait(PATIENCE))
        if codes[-1] != 0:
            faults.append(f"it never ended well: exit codes {codes}")
        faults += compare_cells(early, self.read_cells(), expected)
        return replace(kill, faults=(*faults, *self.check()))

    def _kill(self, process: subprocess.Popen[bytes], kill: Kill) -> None:
        self.wait(lambda: process.poll() is not None or self.count_cells() >= kill.after, f"{kill.after} cells")
        found: list[psutil.Process] = []

        def look() -> bool:
            found[:] = [psutil.Process(process.pid)] if kill.victim == "command" else self.find(kill.victim)
            return bool(found) or process.poll() is not None

        self.wait(look, f"a process of the {kill.victim}")
        self.send(found, kill)


def draw_kill(number: int, seed: int, pause: float = 1.0) -> Kill:
    """The victim goes round; the signal and the moment are drawn."""
    chance = random.Random(f"{seed} {number}")
    victim = VICTIMS[number % len(VICTIMS)]
    return Kill("evaluation", victim, chance.choice(SIGNALS), chance.randrange(2 * CASES - 8), pause)
