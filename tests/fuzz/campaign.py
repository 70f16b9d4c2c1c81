"""A campaign: many mutated inputs of one kind, read in a child process, and what came of them.

Input number n of a seed is always the same bytes, so a fault is reproduced by its number alone.
"""

from __future__ import annotations

import contextlib
import json
import random
import select
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from .kinds import Kind
from .mutations import write_mutant

COMMAND = ("-m", "tests.fuzz.child")
HANG = 5.0  # seconds after which an input counts as one that hangs


@dataclass(slots=True)
class Fault:
    """One input that was neither read nor refused in words."""

    number: int
    outcome: str
    text: str
    input: Path


@dataclass(slots=True)
class Campaign:
    """The outcomes of one kind: counts by outcome, and every fault."""

    kind: str
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)


class Reader:
    """A child process that reads inputs; started again after a hang or a crash."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._child: subprocess.Popen[str] | None = None

    def _start(self) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, *COMMAND, self._kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._child = child
        assert child.stdout
        if child.stdout.readline() != "ready\n":
            self.close()
            raise RuntimeError(
                f"the reader of {self._kind} did not start: run `python -m tests.fuzz.child {self._kind}`"
            )
        return child

    def read(self, path: Path, limit: float = HANG) -> tuple[str, str]:
        """The outcome of one input, and what was said of it."""
        child = self._child or self._start()
        assert child.stdin and child.stdout
        child.stdin.write(json.dumps(str(path)) + "\n")
        child.stdin.flush()
        if not select.select([child.stdout], [], [], limit)[0]:
            self.close()
            return "hang", f"no answer within {limit:g} s"
        line = child.stdout.readline()
        if not line:
            code = child.wait()
            self.close()
            return "crash", "the process ended by " + (signal.Signals(-code).name if code < 0 else f"exit code {code}")
        answer = json.loads(line)
        return answer["outcome"], answer["text"]

    def close(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            for pipe in (self._child.stdin, self._child.stdout):
                if pipe:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
            self._child = None


def run_campaign(kind: Kind, inputs: int, seed: int, folder: Path, first: int = 0) -> Campaign:
    """Reads `inputs` mutants from number `first` on. Inputs that are faults stay in the folder."""
    seeds = folder / "seeds"
    seeds.mkdir(parents=True)
    files = kind.make_seeds(seeds)
    made = Campaign(kind.name)
    reader = Reader(kind.name)
    try:
        for path in files:
            outcome, text = reader.read(path)
            if outcome != "read":
                raise ValueError(f"{kind.name}: the seed {path.name} is not read: {outcome}: {text}")
        for number in range(first, first + inputs):
            draw = random.Random(f"{kind.name} {seed} {number}")
            target = folder / str(number)
            target.mkdir()
            path = write_mutant(draw.choice(files), target, draw, kind.mutate)
            outcome, text = reader.read(path)
            made.outcomes[outcome] += 1
            if outcome in ("read", "refused"):
                shutil.rmtree(target, ignore_errors=True)
            else:
                made.faults.append(Fault(number, outcome, text, path))
    finally:
        reader.close()
    return made
