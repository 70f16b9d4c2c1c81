"""`python -m tests.benchmarks`: every measurement, one table, each figure beside its aim."""

from __future__ import annotations

import os
import platform
import sys

from tests.benchmarks import (
    adapter_streams,
    adapters,
    agreement,
    command_line,
    datasets,
    engine,
    first_paint,
    matrix,
    matrix_screen,
    mixture,
    peers,
    streaming,
    training,
)

MEASURES = {
    "adapters": adapters,
    "adapter_streams": adapter_streams,
    "agreement": agreement,
    "command_line": command_line,
    "datasets": datasets,
    "engine": engine,
    "first_paint": first_paint,
    "matrix": matrix,
    "matrix_screen": matrix_screen,
    "mixture": mixture,
    "peers": peers,
    "streaming": streaming,
    "training": training,
}


def main(names: list[str]) -> None:
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, load before {load:.2f}, Python {platform.python_version()}")
    if load > 0.3:
        print("The machine is busy: read ratios, not times.")
    for name, module in MEASURES.items():
        if not names or name in names:
            for what, figure, aim in module.measure():
                print(f"{what:<46} {figure:<52} aim: {aim}")


if __name__ == "__main__":
    main(sys.argv[1:])
