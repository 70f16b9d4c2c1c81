"""The parts of the lease: dividing, the register of claims, what others compute, what a container is granted."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.cpu_budget import reservations as registry_module
from workbench.cpu_budget.machine import LoadSensor, count_cores
from workbench.cpu_budget.reservations import BATCH, INTERACTIVE, LockRegistry, Reservation, divide, shared_folder

CLAIMS = st.lists(st.tuples(st.sampled_from([INTERACTIVE, BATCH]), st.integers(1, 20)), min_size=1, max_size=8)


@given(st.integers(1, 40), CLAIMS)
def test_cores_are_divided_evenly_up_to_what_each_can_use(cores: int, wishes: list[tuple[int, int]]):
    reservations = [Reservation(str(place), 0, rank, most) for place, (rank, most) in enumerate(wishes)]
    given_ = divide(cores, reservations)
    wanted = sum(reservation.most for reservation in reservations)
    assert sum(given_.values()) == max(len(reservations), min(cores, wanted))
    for reservation in reservations:
        assert 1 <= given_[reservation.name] <= reservation.most
        richer = max(given_.values()) - given_[reservation.name]
        assert richer <= 1 or given_[reservation.name] == reservation.most


@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 6))
def test_no_background_gets_more_than_one_that_is_watched(cores: int, interactive: int, others: int):
    reservations = [Reservation(f"b{n}", 0, BATCH, 99) for n in range(others)]
    reservations += [Reservation(f"w{n}", 0, INTERACTIVE, 99) for n in range(interactive)]
    given_ = divide(cores, reservations)
    assert min(n for name, n in given_.items() if name[0] == "w") >= max(
        n for name, n in given_.items() if name[0] == "b"
    )


def test_claims_are_seen_while_they_last(tmp_path: Path):
    one, other = LockRegistry(tmp_path), LockRegistry(tmp_path)
    assert other.others() == []
    one.publish(INTERACTIVE, 4)
    assert other.others() == [Reservation(one.name, os.getpid(), INTERACTIVE, 4)]
    assert one.others() == []
    one.publish(BATCH, 2)
    assert other.others() == [Reservation(one.name, os.getpid(), BATCH, 2)]
    one.withdraw()
    assert other.others() == []
    one.publish(INTERACTIVE, 1)
    one.close()
    assert other.others() == []
    one.publish(INTERACTIVE, 1)
    assert len(other.others()) == 1
    one.close()


def test_what_a_dead_process_left_is_swept_and_what_is_no_claim_is_left_alone(tmp_path: Path):
    dead, record = tmp_path / "1.abc.reservation", tmp_path / "note.txt"
    dead.write_bytes(bytes((1, 0, 2)))
    record.write_text("mine")
    assert LockRegistry(tmp_path).others() == []
    assert list(tmp_path.iterdir()) == [record]


def test_without_a_folder_a_process_is_alone(tmp_path: Path):
    for folder in (None, tmp_path / "is a file"):
        (tmp_path / "is a file").write_text("")
        registry = LockRegistry(folder)
        registry.publish(INTERACTIVE, 2)
        assert registry.others() == []
        registry.withdraw()
        registry.close()


def test_a_folder_that_others_may_write_into_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert shared_folder() == tmp_path / "workbench"
    (tmp_path / "workbench").chmod(0o777)
    assert shared_folder() is None
    (tmp_path / "workbench").rmdir()
    (tmp_path / "workbench").symlink_to(tmp_path)
    assert shared_folder() is None


def test_what_others_compute_is_all_that_is_computed_without_ours():
    now, total, spent = 0.0, 0.0, {os.getpid(): 0.0, 7: 0.0}
    load = LoadSensor(lambda: now, lambda: total, lambda pid: spent.get(pid, 0.0))
    assert load.look([7]) == (0.0, 0.0)
    for _ in range(20):
        now, total = now + 1, total + 1.9
        spent[os.getpid()] += 1.0
        spent[7] += 0.5
        found = load.look([7])
    assert found == pytest.approx((0.4, 0.4), abs=0.01)
    now += 0.01
    total += 5
    assert load.look([7]) == found  # too soon to tell


def test_a_process_that_ends_takes_nothing_away_from_what_others_compute():
    now, total, spent = 0.0, 0.0, {7: 50.0}
    load = LoadSensor(lambda: now, lambda: total, lambda pid: spent.get(pid, 0.0))
    now = 1.0
    load.look([7])
    spent.clear()
    now = 100.0
    assert load.look([7]).now == pytest.approx(0.0, abs=0.01)


def test_a_process_that_computes_is_not_its_own_load():
    moments = iter([0.0, 10.0])
    load = LoadSensor(lambda: next(moments), lambda: 0.0)
    assert load.look([]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "100000 100000\n"}, 1),
        ({"cpu.max": "250000 100000\n"}, 2),
        ({"cpu.max": "max 100000\n"}, None),
        ({"a/b/cpu.max": "max 100000\n", "a/cpu.max": "100000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "10000 100000\n"}, 1),
        ({"cpu.max": "nonsense\n"}, None),
        ({}, None),
    ],
)
def test_a_container_s_quota_bounds_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cores: int | None
):
    monkeypatch.setattr("workbench.cpu_budget.machine.bound_cores", lambda: frozenset(range(4)))
    (tmp_path / "membership").write_text("1:cpu:/\n0::/a/b\n")
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert count_cores(tmp_path / "groups", tmp_path / "membership") == (cores or 4)


@pytest.mark.skipif(registry_module.fcntl is None, reason="there are no such locks")
def test_a_claim_that_is_not_this_users_is_not_believed(tmp_path):
    other = LockRegistry(tmp_path)
    other.publish(0, 4)
    name = f"{other.name}.reservation"
    assert [reservation.most for reservation in LockRegistry(tmp_path).others()] == [4]
    (tmp_path / name).chmod(0o666)  # anybody could have written it
    assert LockRegistry(tmp_path).others() == []
    other.close()


@pytest.mark.skipif(registry_module.fcntl is None, reason="there are no such locks")
def test_a_claim_goes_with_its_process_even_where_a_fork_of_it_holds_the_lock(tmp_path):
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom workbench.cpu_budget.reservations import LockRegistry\n"
        "register = LockRegistry(Path(sys.argv[1]))\nregister.publish(0, 4)\n"
        "if os.fork() == 0:\n    sys.stdin.read()\nelse:\n    print(os.getpid(), flush=True)\n    os._exit(0)\n"
    )
    own = {**os.environ, "PYTHONPATH": str(Path(registry_module.__file__).parents[2])}
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, env=own, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.wait()
        assert LockRegistry(tmp_path).others() == []
        assert list(tmp_path.iterdir()) == []
        process.stdin.close()


@pytest.mark.skipif(registry_module.fcntl is None, reason="there are no such locks")
def test_a_pipe_with_a_claims_name_keeps_nobody_waiting(tmp_path):
    os.mkfifo(tmp_path / f"{os.getpid()}.00000000.reservation")
    assert LockRegistry(tmp_path).others() == []


@pytest.mark.skipif(registry_module.fcntl is None, reason="there are no such locks")
def test_a_folder_that_others_could_read_is_closed_to_them(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "workbench").mkdir()
    (tmp_path / "workbench").chmod(0o755)
    assert shared_folder() == tmp_path / "workbench"
    assert stat.S_IMODE((tmp_path / "workbench").stat().st_mode) == 0o700
