"""A step of one stream beside two programs that are always busy, and beside a training, over one on an idle machine.

The engine follows its lease of cores; llama.cpp by hand keeps two threads, with OpenMP's own waiting. Run as a module
with a way and a model's or a job's path it is a measured process: a number of tokens a line on its input, seconds of a
step a line on its output.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks.contest import KINDS, ROUNDS, Row, draw
from tests.benchmarks.shapes import SMALL, write_shape

THREADS, TOKENS, PROMPT, BURNERS = 2, 150, 64, 2
LONGEST = 12.0
"""Seconds for which llama.cpp by hand goes on at most."""

WINDOW = 4.0
OPENMP_SPINS = "300000"
"""What libgomp waits by default."""

CHECKOUT = Path(__file__).parents[2]
WAYS = ("ours", "fixed")
NAMES = {"ours": "ours", "fixed": "two fixed threads"}


def measure() -> list[Row]:
    """Rows for the table: what, figure, aim."""
    path = write_shape(SMALL, KINDS[0])
    name = f"{SMALL.name} {KINDS[0]}"
    busy = {way: _beside(way, path, _burn) for way in WAYS}
    rows = [_row(f"{name}: a step beside {BURNERS} busy programs / idle, {NAMES[way]}", *busy[way]) for way in WAYS]
    with tempfile.TemporaryDirectory() as folder:
        return [*rows, *_train_beside(name, path, Path(folder))]


def _row(what: str, idle: float, beside: float, aims: bool = True) -> Row:
    aim = "at most 3" if what.endswith(NAMES["ours"]) and aims else "said, not aimed at"
    return what, f"{beside / idle:.1f}  ({1000 * beside:.1f} ms / {1000 * idle:.1f} ms)", aim


def _beside(
    way: str, path: Path, others: Callable[[], contextlib.AbstractContextManager[object]]
) -> tuple[float, float]:
    """Seconds of a step alone and beside others, in turns; medians of the rounds' means."""
    with _Measured(way, path) as measured:
        measured.write(TOKENS)
        idle, beside = [], []
        for _ in range(ROUNDS):
            time.sleep(1)
            idle.append(measured.write(TOKENS))
            with others():
                beside.append(measured.write(TOKENS))
    return statistics.median(idle), statistics.median(beside)


@contextlib.contextmanager
def _burn() -> Iterator[None]:
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BURNERS)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def _train_beside(name: str, path: Path, folder: Path) -> list[Row]:
    """A step and a training's update, each beside the other; both as they come, and both with two fixed threads."""
    rows = []
    for way in WAYS:
        with _Measured(way, path) as measured, _Trained(way, folder) as trained:
            alone = trained.update(WINDOW)
            beside = statistics.median(measured.write(TOKENS) for _ in range(ROUNDS))
            with measured.writing():
                both = trained.update(WINDOW)
        with _Measured(way, path) as measured:
            measured.write(TOKENS)
            idle = measured.write(TOKENS)
        rows.append(_row(f"{name}: a step beside a training / idle, {NAMES[way]}", idle, beside))
        rows.append(_row(f"{name}: a training's update beside a stream / alone, {NAMES[way]}", alone, both, False))
    return rows


class _Measured:
    """A process that writes when it is told to."""

    def __init__(self, way: str, path: Path) -> None:
        self._process = _start(way, path)

    def write(self, tokens: int) -> float:
        """Seconds of a step."""
        self._ask(tokens)
        return self._hear()

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Let it write all the while, for as long as WINDOW at least."""
        self._ask(0)
        yield
        self._hear()

    def _ask(self, tokens: int) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{tokens}\n")
        self._process.stdin.flush()

    def _hear(self) -> float:
        assert self._process.stdout
        return float(json.loads(self._process.stdout.readline()))

    def __enter__(self) -> _Measured:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


class _Trained:
    """A training of the embedded model that goes on until it is killed."""

    def __init__(self, way: str, folder: Path) -> None:
        from datetime import datetime

        from tests.benchmarks.training import _recipe
        from workbench import yaml_document
        from workbench.training.job_dir import create_job_dir

        os.environ["WORKBENCH_HOME"] = str(folder / "home")
        try:
            self._place = create_job_dir("beside", yaml_document.encode(_recipe(100_000)), folder, datetime.now())
        finally:
            del os.environ["WORKBENCH_HOME"]
        self._home = folder / "home"
        self._process = _start(f"train-{way}", self._place.folder, WORKBENCH_HOME=str(self._home))

    def update(self, seconds: float) -> float:
        """Seconds of an update in the time to come."""
        while not self._steps():
            assert self._process.poll() is None, "the training ended"
            time.sleep(0.1)
        begun = len(self._steps())
        time.sleep(seconds)
        return seconds / max(1, len(self._steps()) - begun)

    def _steps(self) -> list[object]:
        from workbench.training.events import JobStep, read_events

        return [event for event in read_events(self._place.events).events if isinstance(event, JobStep)]

    def __enter__(self) -> _Trained:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def _start(way: str, path: Path, **environment: str) -> subprocess.Popen[str]:
    spins = {"GOMP_SPINCOUNT": OPENMP_SPINS} if way.endswith("fixed") else {}
    return subprocess.Popen(
        [sys.executable, "-m", __name__, way, str(path)],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), **spins, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def write_ours(path: Path) -> Callable[[int], float]:
    """Seconds of a step of the engine, so many tokens of one stream."""
    from tests.benchmarks.own import Own

    own, turns = Own(path, threads=0), iter(range(10**6))

    def write(tokens: int) -> float:
        pace = own.write([draw(SMALL, next(turns), PROMPT)], tokens, priority=0).pace
        own.settle()
        return pace

    return write


def write_fixed(path: Path) -> Callable[[int], float]:
    """The same by hand, with as many threads whatever others do."""
    from tests.benchmarks import bare

    context = bare.BareContext(bare.Weights(path), 4096, 1, THREADS)

    def write(tokens: int) -> float:
        context.begin(draw(SMALL, 1, PROMPT), [0])
        started, done = time.perf_counter(), 0
        while done < tokens and time.perf_counter() - started < LONGEST:
            context.step([400], PROMPT + done, [0])
            done += 1
        return (time.perf_counter() - started) / done

    return write


def serve(write: Callable[[int], float]) -> None:
    """Write what is asked for; 0 asks for what fits into a window."""
    for line in sys.stdin:
        tokens = int(line)
        started = time.monotonic()
        pace = write(tokens or TOKENS)
        while not tokens and time.monotonic() - started < WINDOW:
            pace = write(TOKENS)
        print(json.dumps(pace), flush=True)


def train(folder: Path, follows: bool) -> None:
    """Carry out a job as its own process does, or with as many threads whatever others do."""
    from workbench.training.child.environment import hush

    hush()
    import torch

    from workbench.training.child.environment import lower_priority
    from workbench.training.child.run import run_job
    from workbench.training.job_dir import JobDir

    cpu_budget = lower_priority()
    if not follows:
        torch.set_num_threads(THREADS)
    run_job(JobDir(folder), cpu_budget=cpu_budget if follows else None)


if __name__ == "__main__":
    way, where = sys.argv[1], Path(sys.argv[2])
    if way.startswith("train"):
        train(where, way.endswith("ours"))
    else:
        serve(write_ours(where) if way == "ours" else write_fixed(where))
