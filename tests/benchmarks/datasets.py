"""Datasets: a million rows opened, walked through and reached at random, against Python's own readers."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROWS = int(os.environ.get("WORKBENCH_BENCH_ROWS", "1000000"))
PEAK = """
import re, sys, time
from pathlib import Path

def peak():
    "Of this process alone, in MiB; what getrusage tells includes the parent that started it."
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
"""
OURS = """
import random
from workbench.datasets.spec import Dataset
from workbench.datasets import load_cases
before = peak()
began = time.perf_counter()
cases = load_cases(Dataset(sys.argv[1]), Path.cwd())
opened = time.perf_counter() - began
used = peak() - before
places = [random.randrange(len(cases)) for _ in range(2000)]
began = time.perf_counter()
for place in places:
    cases[place]
print(opened, used, (time.perf_counter() - began) / 2000 * 1e6)
"""
THEIRS = """
import csv, json
before = peak()
began = time.perf_counter()
with open(sys.argv[1], newline="") as stream:
    rows = list(csv.DictReader(stream)) if sys.argv[1].endswith("csv") else [json.loads(line) for line in stream]
print(time.perf_counter() - began, peak() - before, 0)
"""


def measure() -> list[tuple[str, str, str]]:
    """Rows for the table: what, figure, aim."""
    told = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("rows.jsonl", "rows.csv"):
            path = Path(folder) / name
            _write(path)
            (ours, our_peak, reach), (theirs, their_peak, _) = _run(OURS, path), _run(THEIRS, path)
            kind = path.suffix[1:]
            told += [
                (
                    f"{ROWS:,} rows of {kind} opened / read by Python's module",
                    f"{ours / theirs:.2f}  ({ours:.1f} s / {theirs:.1f} s)",
                    "at most 3",
                ),
                (
                    f"memory for {ROWS:,} rows of {kind} / a list of them",
                    f"{our_peak / their_peak:.3f}  ({our_peak:.0f} MiB / {their_peak:.0f} MiB)",
                    "at most 0.1",
                ),
                (f"a row of {kind} anywhere", f"{reach:.0f} µs", "at most 100 µs"),
            ]
    return told


def _write(path: Path) -> None:
    text = "Sadly, I was charged twice for lamp {}; could you look into it before Monday?"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        if path.suffix == ".csv":
            writer.writerow(["id", "message", "expected"])
        for number in range(ROWS):
            row = {"id": str(number), "message": text.format(number), "expected": "Abacus"}
            if path.suffix == ".csv":
                writer.writerow(row.values())
            else:
                stream.write(json.dumps(row) + "\n")


def _run(code: str, path: Path) -> tuple[float, float, float]:
    done = subprocess.run([sys.executable, "-c", PEAK + code, str(path)], capture_output=True, text=True, check=True)
    first, second, third = (float(part) for part in done.stdout.split())
    return first, second, third
