"""The lease between real processes, and what it makes of the machine's load."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workbench.cores import lease as lease_module
from workbench.cores.lease import Lease
from workbench.cores.load import Load
from workbench.cores.register import Register

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

    def tell(self, command: str) -> int:
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
    assert first.tell("begin") == 2
    assert second.tell("begin") == 1
    assert first.tell("look") == 1
    second.kill()
    assert first.tell("look") == 2


def test_one_that_rests_leaves_its_cores_to_the_other(start: Callable[..., Participant]):
    first, second = start(), start()
    first.tell("begin")
    second.tell("watch")
    assert first.tell("look") == 1
    second.tell("end")
    assert first.tell("look") == 2


def test_a_person_s_limit_holds_and_leaves_the_rest_to_others(start: Callable[..., Participant]):
    first, second = start(1), start(2)
    assert first.tell("begin") == 1
    assert second.tell("begin") == 1
    first.tell("end")
    assert second.tell("look") == 2
    assert first.tell("look") == 1


class Machine:
    """Time, and what others compute in it. busy: cores that they keep so."""

    def __init__(self, cores: int, folder: Path | None = None) -> None:
        self.now, self.busy, self._total = 0.0, 0.0, 0.0
        load = Load(lambda: self.now, lambda: self._total, lambda pid: 0.0)
        self.lease = Lease(cores, cores, Register(folder), load, lambda: self.now)
        self.lease.begin()

    def pass_time(self, seconds: float) -> int:
        """The threads that are granted after so long, asked for all the while."""
        end = self.now + seconds
        while self.now < end:
            self.now += 0.05
            self._total += 0.05 * self.busy
            self.lease.threads()
        return self.lease.threads()


def test_threads_fall_soon_when_others_compute_and_rise_when_they_have_rested_a_while():
    machine = Machine(2)
    assert machine.pass_time(1.0) == 2
    machine.busy = 1.0
    assert machine.pass_time(0.3) == 1
    machine.busy = 0.0
    assert machine.pass_time(0.3) == 1
    assert machine.pass_time(1.0) == 2


def test_the_cores_that_others_leave_are_granted_and_never_less_than_one():
    machine = Machine(8)
    machine.busy = 3.0
    assert machine.pass_time(2.0) == 5
    machine.busy = 20.0
    assert machine.pass_time(2.0) == 1


def test_a_little_that_others_do_changes_nothing():
    machine = Machine(2)
    machine.busy = 0.2
    assert machine.pass_time(2.0) == 2


def test_a_core_that_is_half_in_use_is_let_go_and_not_taken_again():
    machine, grants = Machine(2), []
    for turn in range(40):
        machine.busy = 0.5 + 0.15 * (-1) ** turn
        grants.append(machine.pass_time(0.2))
    assert grants == sorted(grants, reverse=True)
    assert grants[-1] == 1


def test_a_step_that_takes_many_times_what_is_usual_leaves_one_thread_at_once():
    machine = Machine(2)
    for _ in range(10):
        machine.pass_time(0.1)
        machine.lease.note("one row", 0.01)
    machine.lease.note("one row", 0.5)
    assert machine.lease.threads() == 1
    assert machine.pass_time(3.0) == 2


def test_between_two_looks_nothing_is_read(monkeypatch: pytest.MonkeyPatch):
    looks = []
    machine = Machine(2)
    monkeypatch.setattr(machine.lease, "_look", looks.append)
    machine.now = 100.0
    for _ in range(50):
        machine.lease.threads()
    assert len(looks) == 1
    machine.now += lease_module.LOOK_SECONDS
    machine.lease.threads()
    assert len(looks) == 2


def test_what_cannot_be_divided_goes_to_the_one_that_someone_watches(tmp_path: Path):
    live, other = Machine(3, tmp_path), Machine(3, tmp_path)
    live.lease.begin(watched=True)
    assert live.pass_time(1.0) == 2
    assert other.pass_time(1.0) == 1


def test_this_machine_grants_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    lease = Lease.open()
    lease.begin()
    assert [path.suffix for path in (tmp_path / "workbench").iterdir()] == [".claim"]
    assert 1 <= lease.threads() == lease.granted <= lease.cores
    lease.close()
    assert not list((tmp_path / "workbench").iterdir())
