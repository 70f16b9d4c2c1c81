"""The lease between real processes, and what it makes of the machine's load."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workbench.cpu_budget import budget as budget_module
from workbench.cpu_budget.budget import CpuBudget
from workbench.cpu_budget.machine import LoadSensor
from workbench.cpu_budget.reservations import LockRegistry

CHECKOUT = Path(__file__).parents[2]


class Participant:
    """A process of its own that takes part."""

    def __init__(self, folder: Path, most: int = 2) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("participant.py")), str(folder), str(most)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        )

    def send(self, command: str) -> int:
        """The threads that it may use after a command."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Participant]]:
    started: list[Participant] = []

    def begin(most: int = 2) -> Participant:
        started.append(Participant(tmp_path, most))
        return started[-1]

    yield begin
    for one in started:
        one.kill()


def test_two_that_compute_get_a_core_each_and_what_a_killed_one_had_comes_back(start: Callable[..., Participant]):
    first, second = start(), start()
    assert first.send("begin") == 2
    assert second.send("begin") == 1
    assert first.send("look") == 1
    second.kill()
    assert first.send("look") == 2


def test_one_that_rests_leaves_its_cores_to_the_other(start: Callable[..., Participant]):
    first, second = start(), start()
    first.send("begin")
    second.send("watch")
    assert first.send("look") == 1
    second.send("end")
    assert first.send("look") == 2


def test_a_person_s_limit_holds_and_leaves_the_rest_to_others(start: Callable[..., Participant]):
    first, second = start(1), start(2)
    assert first.send("begin") == 1
    assert second.send("begin") == 1
    first.send("end")
    assert second.send("look") == 2
    assert first.send("look") == 1


class Machine:
    """Time, and what others compute in it. busy: cores that they keep so."""

    def __init__(self, cores: int, folder: Path | None = None) -> None:
        self.now, self.busy, self._total = 0.0, 0.0, 0.0
        load = LoadSensor(lambda: self.now, lambda: self._total, lambda pid: 0.0)
        self.cpu_budget = CpuBudget(cores, cores, LockRegistry(folder), load, lambda: self.now)
        self.cpu_budget.begin()

    def pass_time(self, seconds: float) -> int:
        """The threads that are granted after so long."""
        self.now += seconds
        self._total += seconds * self.busy
        return self.cpu_budget.threads()


@pytest.mark.parametrize(("busy", "threads"), [(0.0, 8), (0.4, 8), (3.0, 5), (20.0, 1)])
def test_a_process_begins_with_the_cores_that_others_leave_and_never_less_than_one(busy: float, threads: int):
    machine = Machine(8)
    machine.busy = busy
    assert machine.pass_time(2.0) == threads


def test_other_programs_take_free_cores_first_and_then_of_each_of_our_processes(tmp_path: Path):
    one, other = Machine(8, tmp_path), Machine(8, tmp_path)
    one.busy = other.busy = 4.0
    assert one.pass_time(2.0) == other.pass_time(2.0) == 2


def test_between_two_looks_nothing_is_read(monkeypatch: pytest.MonkeyPatch):
    looks = []
    machine = Machine(2)
    monkeypatch.setattr(machine.cpu_budget, "_look", lambda: looks.append(1))
    machine.now = 100.0
    for _ in range(50):
        machine.cpu_budget.threads()
    assert len(looks) == 1
    machine.now += budget_module.LOOK_SECONDS
    machine.cpu_budget.threads()
    assert len(looks) == 2


def test_what_cannot_be_divided_goes_to_the_one_that_someone_watches(tmp_path: Path):
    live, other = Machine(3, tmp_path), Machine(3, tmp_path)
    live.cpu_budget.begin(interactive=True)
    assert live.pass_time(1.0) == 2
    assert other.pass_time(1.0) == 1


def test_this_machine_grants_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    cpu_budget = CpuBudget.open()
    cpu_budget.begin()
    assert [path.suffix for path in (tmp_path / "workbench").iterdir()] == [".reservation"]
    assert 1 <= cpu_budget.threads() == cpu_budget.granted <= cpu_budget.cores
    cpu_budget.close()
    assert not list((tmp_path / "workbench").iterdir())
