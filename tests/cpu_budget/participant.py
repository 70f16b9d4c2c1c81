"""A process that takes part in a lease of two cores: a command a line on its input, an answer a line on its output.

Its clock goes on by a second each time it is read, so that it looks around at every question; it senses no load.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from workbench.cpu_budget.budget import CpuBudget
from workbench.cpu_budget.machine import LoadSensor
from workbench.cpu_budget.reservations import LockRegistry


def main(folder: str, most: str) -> None:
    """Obey until the input ends."""
    seconds = itertools.count(1)

    def clock() -> float:
        return float(next(seconds))

    cpu_budget = CpuBudget(
        int(most), 2, LockRegistry(Path(folder)), LoadSensor(clock, lambda: 0.0, lambda pid: 0.0), clock
    )
    for line in sys.stdin:
        match line.split():
            case ["begin"]:
                cpu_budget.begin()
            case ["watch"]:
                cpu_budget.begin(interactive=True)
            case ["end"]:
                cpu_budget.end()
        print(cpu_budget.threads(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
