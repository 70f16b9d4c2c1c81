"""A training whose command or job is killed at a random moment, and gone on with to its end.

What comes of it must be the same file, byte for byte, as that of an undisturbed one.
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil

from workbench.training.checkpoints import find_checkpoints
from workbench.training.events import JobEnded, JobSaved, JobStep, read_events
from workbench.training.job_dir import JobDir
from workbench.training.registry import Registry

from .trial import PATIENCE, Kill, KillTrial

VICTIMS = ("command", "job")
SIGNALS = ("SIGKILL", "SIGTERM", "SIGHUP", "SIGSTOP")
STEPS = 8
MOST_ATTEMPTS = 4
_RECIPE = """\
base: tiny
prompt: ask
library: .
train: {path: train.jsonl}
validation: {path: validation.jsonl}
training: {max_steps: 8, batch_size: 2, learning_rate: 0.01, device: cpu}
method: {dropout: 0.1}
evaluation: {eval_steps: 2, cases: 2, samples: 2, max_tokens: 4}
"""

Adapters = dict[str, str]
"""file of the adapter -> digest of its content"""


def write_project(folder: Path, base: Path) -> None:
    """A recipe that adapts a tiny base to rows of its own."""
    folder.mkdir(parents=True)
    (folder / "tiny").symlink_to(base)
    (folder / "ask.prompty").write_text("user:\n{{ message }}\n")
    for name, first, count in (("train", 0, 12), ("validation", 100, 4)):
        rows = [{"message": f"number {n}", "expected": f"it is {n}"} for n in range(first, first + count)]
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (folder / "my.recipe.yaml").write_text(_RECIPE)


class TrainingTrial(KillTrial):
    """One training with a home of its own."""

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}

    def run_undisturbed(self) -> Adapters:
        code = self.start("train", "my.recipe.yaml").wait(PATIENCE)
        assert code == 0, f"an undisturbed training ended with {code}"
        return self.read_adapters()

    def run_with(self, kill: Kill, expected: Adapters) -> Kill:
        """Begin it, kill, resume until it is done, and hold the adapter against that of an undisturbed one."""
        process = self.start("train", "my.recipe.yaml")
        self._kill(process, kill)
        code = process.wait(PATIENCE)
        if kill.victim == "command":
            self.wait(lambda: not self.find("job"), "the end of the job, which outlives its command")
        faults = list(self._check_saved())
        codes = [code]
        while not self._is_done() and len(codes) < MOST_ATTEMPTS:
            arguments = ["train", "--resume"] if self._job_dirs() else ["train", "my.recipe.yaml"]
            codes.append(self.start(*arguments).wait(PATIENCE))
        if not self._is_done():
            faults.append(f"it never ended well: exit codes {codes}")
        if kill.victim == "command" and len(codes) > 1 and kill.after >= 0:
            faults.append("the job did not outlive its command")
        found = self.read_adapters()
        faults += [f"another adapter: {name}" for name in expected if found.get(name) != expected[name]]
        faults += [f"one more file: {name}" for name in found if name not in expected]
        return replace(kill, faults=(*faults, *self.check()))

    def read_adapters(self) -> Adapters:
        """The weights of what was made, as the registry lists it."""
        found: Adapters = {}
        for entry in Registry(self.home / "data" / "adapters").entries():
            for path in sorted(entry.path.rglob("*.safetensors")):
                found[f"{entry.name}/{path.name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    def _kill(self, process: subprocess.Popen[bytes], kill: Kill) -> None:
        self.wait(lambda: process.poll() is not None or self._count_steps() >= kill.after, f"{kill.after} updates")
        found: list[psutil.Process] = []

        def look() -> bool:
            found[:] = [psutil.Process(process.pid)] if kill.victim == "command" else self.find("job")
            return bool(found) or process.poll() is not None

        self.wait(look, f"a process of the {kill.victim}")
        self.send(found, kill)

    def _check_saved(self) -> Iterator[str]:
        """The last state that was told to be saved must be there and whole, or a newer one."""
        for job_dir in self._job_dirs():
            saved = [event.step for event in read_events(job_dir.events).events if isinstance(event, JobSaved)]
            held = [found.step for found in find_checkpoints(job_dir.checkpoints)]
            if saved and max(held, default=0) < saved[-1] and not self._is_done():
                yield f"the state of update {saved[-1]} is lost; there are {held}"

    def _count_steps(self) -> int:
        """Updates that were told; -1 before there is a job."""
        job_dirs = self._job_dirs()
        if not job_dirs:
            return -1
        return sum(isinstance(event, JobStep) for event in read_events(job_dirs[0].events).events)

    def _is_done(self) -> bool:
        events = [event for job_dir in self._job_dirs() for event in read_events(job_dir.events).events]
        return any(isinstance(event, JobEnded) and event.outcome == "done" for event in events)

    def _job_dirs(self) -> list[JobDir]:
        folder = self.home / "data" / "training"
        if not folder.is_dir():
            return []
        return [JobDir(path) for path in sorted(folder.iterdir()) if (path / "job.json").is_file()]


def draw_kill(number: int, seed: int, pause: float = 1.0) -> Kill:
    """The job twice as often as its command; the signal and the moment are drawn."""
    chance = random.Random(f"training {seed} {number}")
    victim = VICTIMS[number % 3 > 0]
    return Kill("training", victim, chance.choice(SIGNALS), chance.randrange(STEPS + 1), pause)
