"""A machine in simulated time: programs that compute in bursts, and steps whose threads wait for each other."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

SLICE = 0.001


class Program(NamedTuple):
    """Computes for `share` of each `period`, in seconds; 1.0 is a program that never rests."""

    share: float
    period: float = 0.05
    phase: float = 0.0

    def runs(self, now: float) -> bool:
        return (now + self.phase) % self.period < self.share * self.period


class SimulatedMachine:
    """computed: seconds that the other programs have computed.

    The threads of a step run on the cores with the fewest others; the slowest decides, and where it shares its core the
    others spin, which costs `waste` of what is left.
    """

    def __init__(self, cores: int, programs: Sequence[Program] = (), waste: float = 0.4) -> None:
        self.cores, self.programs, self.waste = cores, list(programs), waste
        self.now = self.computed = 0.0

    def clock(self) -> float:
        return self.now

    def step(self, work: float, threads: int) -> float:
        """Seconds of a step that takes so many seconds on one core."""
        began = self.now
        while work > 1e-9:
            speed = self._speed(threads)
            elapsed = min(SLICE, work / speed)
            work -= elapsed * speed
            self.computed += elapsed * sum(program.runs(self.now) for program in self.programs)
            self.now += elapsed
        return self.now - began

    def _speed(self, threads: int) -> float:
        busy = sum(program.runs(self.now) for program in self.programs)
        sharing = sorted(busy // self.cores + (core < busy % self.cores) for core in range(self.cores))[threads - 1]
        spinning = 1 - self.waste if sharing and threads > 1 else 1.0
        return float(threads**0.95 / (1 + sharing) * spinning)


def measure(
    machine: SimulatedMachine, seconds: float, choose: Callable[[], int], record: Callable[[int, int, float], None]
) -> float:
    """Work that is done each second, in steps of three kinds."""
    order, done, began = random.Random(7), 0.0, machine.now
    while machine.now - began < seconds:
        kind, threads = order.choice((1, 2, 4)), choose()
        record(kind, threads, machine.step(0.008 * kind, threads))
        done += kind
    return done / (machine.now - began)


def measure_fixed(machine: SimulatedMachine, seconds: float, threads: int) -> float:
    return measure(machine, seconds, lambda: threads, lambda *_: None)
