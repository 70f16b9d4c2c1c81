"""`python -m tests.benchmarks [measure...]`: measurements, each figure beside its aim, and the README's table anew."""

from __future__ import annotations

import datetime
import importlib
import os
import sys
import time
import traceback

from tests.benchmarks import machine, report

MEASURES = (
    "engine",
    "servers",
    "choices",
    "constrained",
    "adapter_matrix",
    "live_adapters",
    "decode",
    "python_step",
    "remote",
    "layouts",
    "cancelling",
    "contention",
    "hf_engine",
    "keystroke",
    "batched_lora",
    "adapters",
    "adapter_streams",
    "agreement",
    "command_line",
    "datasets",
    "first_paint",
    "many",
    "matrix",
    "matrix_screen",
    "modes",
    "optimise",
    "peers",
    "ray_scaling",
    "retrieval",
    "streaming",
    "training",
)
"""Modules with a `measure` that gives rows: what, figure, aim."""

NARROWED = ("BENCH_KINDS", "BENCH_SHAPES", "BENCH_SLOTS")


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in MEASURES]
    if unknown:
        print(f"There is no measure {', '.join(unknown)}. There are: {', '.join(MEASURES)}", file=sys.stderr)
        return 2
    words = machine.describe()
    print(f"{words}; load {os.getloadavg()[0]:.2f}")
    failed = [name for name in names or MEASURES if not _run(name, words)]
    if failed:
        print(f"Failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _run(name: str, words: str) -> bool:
    """Measure, print, and keep; False where it failed."""
    before, during, started = machine.count_busy(), machine.Others(), time.perf_counter()
    if before > report.BUSY:
        print(f"Other programs use {before:.1f} cores: read ratios, not times.")
    try:
        rows = importlib.import_module(f"tests.benchmarks.{name}").measure()
    except Exception:  # noqa: BLE001  the other measures are still wanted
        traceback.print_exc()
        return False
    others = max(before, during.count())
    for what, figure, aim in rows:
        print(f"{what:<64} {figure:<52} aim: {aim}")
    print(f"({name}: {time.perf_counter() - started:.0f} s, others {others:.2f} cores)", flush=True)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    found = [
        report.Result(measure=name, what=what, figure=figure, aim=aim, date=today, others=others, machine=words)
        for what, figure, aim in rows
    ]
    whole = not any(key in os.environ for key in NARROWED)
    report.write(report.merge(report.read(), found, whole))
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
