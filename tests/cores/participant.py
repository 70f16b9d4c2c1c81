"""A process that takes part in a lease of two cores: a command a line on its input, an answer a line on its output.

Its clock goes on by a second each time it is read, so that it looks around at every question; it senses no load.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from workbench.cores.lease import Lease
from workbench.cores.load import Load
from workbench.cores.register import Register


def main(folder: str, most: str) -> None:
    """Obey until the input ends."""
    seconds = itertools.count(1)

    def clock() -> float:
        return float(next(seconds))

    lease = Lease(int(most), 2, Register(Path(folder)), Load(clock, lambda: 0.0, lambda pid: 0.0), clock)
    for line in sys.stdin:
        match line.split():
            case ["begin"]:
                lease.begin()
            case ["watch"]:
                lease.begin(watched=True)
            case ["end"]:
                lease.end()
        print(lease.threads(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
