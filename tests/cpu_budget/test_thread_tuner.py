"""The number of threads on simulated machines: against every fixed number, beside programs of every kind."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cpu_budget.simulated_machine import Program, SimulatedMachine, measure, measure_fixed
from workbench.cpu_budget.budget import CpuBudget
from workbench.cpu_budget.machine import LoadSensor
from workbench.cpu_budget.reservations import LockRegistry
from workbench.cpu_budget.thread_tuner import ThreadTuner

SECONDS = 12.0

BURSTS = st.builds(Program, st.floats(0.02, 0.48), st.floats(0.02, 1.5), st.floats(0.0, 1.0))


def open_budget(machine: SimulatedMachine, folder: Path | None = None) -> CpuBudget:
    load = LoadSensor(machine.clock, lambda: machine.computed, lambda pid: 0.0)
    budget = CpuBudget(machine.cores, machine.cores, LockRegistry(folder), load, machine.clock)
    budget.begin()
    return budget


def measure_tuned(machine: SimulatedMachine, seconds: float = SECONDS, budget: CpuBudget | None = None) -> float:
    budget = budget or open_budget(machine)
    return measure(machine, seconds, budget.threads, lambda kind, threads, taken: budget.record(kind, taken))


def list_granted(machine: SimulatedMachine, budget: CpuBudget) -> list[int]:
    """The threads of each step."""
    granted: list[int] = []

    def record(kind: int, threads: int, seconds: float) -> None:
        granted.append(threads)
        budget.record(kind, seconds)

    measure(machine, SECONDS, budget.threads, record)
    return granted


@settings(max_examples=15)
@given(st.integers(2, 6), BURSTS, st.floats(0.0, 0.6))
def test_beside_less_than_half_a_core_it_is_at_most_5_percent_behind_fixed_threads(
    cores: int, program: Program, waste: float
):
    tuned = measure_tuned(SimulatedMachine(cores, [program], waste))
    assert tuned >= 0.95 * measure_fixed(SimulatedMachine(cores, [program], waste), SECONDS, cores)


@settings(max_examples=8)
@given(st.integers(2, 4), st.integers(1, 4), st.floats(0.2, 0.6))
def test_beside_busy_programs_it_comes_near_the_best_fixed_number(cores: int, busy: int, waste: float):
    programs = [Program(1.0)] * busy
    best = max(
        measure_fixed(SimulatedMachine(cores, programs, waste), SECONDS, threads) for threads in range(1, cores + 1)
    )
    assert measure_tuned(SimulatedMachine(cores, programs, waste)) >= 0.85 * best


@pytest.mark.parametrize("cores", [1, 2, 4, 8])
def test_on_an_idle_machine_every_step_has_every_core(cores: int):
    machine = SimulatedMachine(cores)
    assert set(list_granted(machine, open_budget(machine))) == {cores}


@pytest.mark.parametrize("busy", [0, 2])
def test_two_engines_of_ours_have_equal_shares_alone_and_beside_busy_programs(tmp_path: Path, busy: int):
    machines = [SimulatedMachine(4, [Program(1.0)] * busy) for _ in range(2)]
    budgets = [open_budget(machine, tmp_path) for machine in machines]
    granted = [list_granted(machine, budget) for machine, budget in zip(machines, budgets, strict=True)]
    assert max(map(max, granted)) == 2
    assert sum(granted[0]) / len(granted[0]) == pytest.approx(sum(granted[1]) / len(granted[1]), rel=0.05)
    for budget in budgets:
        budget.close()


def test_it_gives_a_core_up_for_a_busy_program_and_takes_it_back():
    machine = SimulatedMachine(2)
    budget = open_budget(machine)
    measure_tuned(machine, 3.0, budget)
    machine.programs.append(Program(1.0))
    measure_tuned(machine, 3.0, budget)
    assert budget.threads() == 1
    machine.programs.clear()
    measure_tuned(machine, 3.0, budget)
    assert budget.threads() == 2


def test_a_third_of_a_core_is_shared_and_not_left():
    machine = SimulatedMachine(2, [Program(0.3)])
    counts = list_granted(machine, open_budget(machine))
    assert counts.count(1) < len(counts) / 20


def drive(
    tuner: ThreadTuner, machine: SimulatedMachine, steps: int, seconds: dict[int, float], room: float = 2.0
) -> int:
    """The threads after so many steps that take so long with each number of threads."""
    for _ in range(steps):
        threads = tuner.choose(2, room, room)
        machine.now += seconds[threads]
        tuner.record("step", threads, seconds[threads])
    return tuner.choose(2, room, room)


def test_a_step_that_stalls_is_worth_a_trial_even_where_no_load_is_seen():
    machine = SimulatedMachine(2)
    tuner = ThreadTuner(machine.clock)
    assert drive(tuner, machine, 50, {1: 0.02, 2: 0.01}) == 2
    assert drive(tuner, machine, 12, {1: 0.02, 2: 0.5}) == 1


def test_one_stall_alone_costs_a_trial_and_no_more():
    machine = SimulatedMachine(2)
    tuner = ThreadTuner(machine.clock)
    drive(tuner, machine, 50, {1: 0.02, 2: 0.01})
    drive(tuner, machine, 1, {1: 0.02, 2: 0.2})
    assert drive(tuner, machine, 60, {1: 0.02, 2: 0.01}) == 2


def test_threads_that_win_nothing_are_not_taken():
    machine = SimulatedMachine(2)
    tuner = ThreadTuner(machine.clock)
    assert tuner.choose(2, 1.0, 1.0) == 1
    assert drive(tuner, machine, 400, {1: 0.02, 2: 0.0195}, room=1.7) == 1
    assert drive(tuner, machine, 400, {1: 0.02, 2: 0.012}, room=1.7) == 2


def test_a_trial_in_which_nothing_is_recorded_ends():
    machine = SimulatedMachine(2)
    tuner = ThreadTuner(machine.clock)
    drive(tuner, machine, 40, {1: 0.02, 2: 0.01})
    machine.now += 1
    assert tuner.choose(2, 1.6, 1.6) == 1
    machine.now += 6
    assert tuner.choose(2, 1.6, 1.6) == 2


def test_cores_that_only_seem_to_be_in_use_are_found_by_a_trial():
    machine = SimulatedMachine(2)
    tuner = ThreadTuner(machine.clock)
    assert tuner.choose(2, 0.2, 0.2) == 1
    assert drive(tuner, machine, 1000, {1: 0.02, 2: 0.02}, room=0.2) == 1
    assert drive(tuner, machine, 3000, {1: 0.02, 2: 0.012}, room=0.2) == 2


def test_the_limit_holds_at_once():
    tuner = ThreadTuner(lambda: 0.0)
    assert tuner.choose(8, 8.0, 8.0) == 8
    assert tuner.choose(3, 3.0, 3.0) == 3
    assert tuner.choose(8, 5.2, 5.2) == 5
