"""Matrix: 100,000 cells of a scripted model in one run: how fast, how much memory, how large a store, how quick a page.

Run as a module with a folder, it is the measured run itself, so that its memory is its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from workbench.datasets import Case
from workbench.inference.pool import Pool
from workbench.models.reference import Model
from workbench.prompting.prompt import Prompt
from workbench.runs.bench import Bench, Variant
from workbench.runs.cell import CellFinished
from workbench.runs.matrix_rows import Filter, Sort
from workbench.runs.run import Evaluation, RunOptions, Sources
from workbench.runs.view import RunView
from workbench.store.store import Store

CASES, VARIANTS = 20_000, 5
SETTLED = 10_000
"""cells after which memory should not grow any more"""

_TEXTS = (
    "SELECT (SELECT sum(length(CAST(text AS BLOB)) + length(CAST(thinking AS BLOB))) FROM completions)"
    " + (SELECT sum(length(CAST(body AS BLOB)) + length(CAST(coalesce(expected, '') AS BLOB))) FROM inputs)"
)


def measure() -> list[tuple[str, str, str]]:
    """Rows for the table: what, figure, aim."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.matrix", folder], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        report = json.loads(done.stdout)
    pages = (
        f"{report['page_ms']:.1f} ms, sorted or filtered {report['filtered_ms']:.1f} (first {report['first_ms']:.0f})"
    )
    memory = f"{report['grown_mib']:+.1f} MiB after {SETTLED:,} cells, {report['peak_mib']:.0f} MiB in all"
    return [
        (f"{report['cells']:,} cells in one run", f"{report['rate']:,.0f} cells/s", "more is better"),
        ("memory while they run", memory, "flat"),
        ("store beside the texts", f"{report['bytes']:.0f} bytes a cell", "under 1,000"),
        ("a page of 50 rows x 5 variants", pages, "a few ms"),
        ("all known the second time", f"{report['known_rate']:,.0f} cells/s", "more is better"),
        ("the summary of the run", f"{report['summary_seconds']:.1f} s, libraries loaded", "seconds"),
    ]


def carry_out(folder: Path) -> dict[str, Any]:
    """The run and all that is measured about it."""
    store = Store(folder / "workbench.sqlite")
    report = _run(folder, store)
    ((texts,),) = store.read(_TEXTS)
    store.read("PRAGMA wal_checkpoint(TRUNCATE)")
    report["bytes"] = ((folder / "workbench.sqlite").stat().st_size - texts) / report["cells"]
    report |= _look(RunView(store, "last"))
    report["known_rate"] = _run(folder, store)["rate"]
    store.close()
    return report


def _run(folder: Path, store: Store) -> dict[str, Any]:
    path = folder / "desk.script.json"
    path.write_text(json.dumps({"rules": [{"regex": r"number \d*(?P<n>\d)", "reply": "label {n}"}]}))
    model = Model("desk", path, "scripted")
    variants = tuple(Variant(f"v{number}", f"p{number}", "desk") for number in range(VARIANTS))
    sources = Sources(
        lambda name: Prompt(name, f"user:\nHere is {name}: {{{{ message }}}}\n"), lambda name: model, lambda names: ()
    )
    cases = [Case(n, {"message": f"This is message number {n}"}, f"label {n % 10}") for n in range(1, CASES + 1)]
    pool, process = Pool(), psutil.Process()
    bench = Bench(variants, scorers=("exact_match", "contains"))
    evaluation = Evaluation(
        bench, folder / "matrix.bench.yaml", cases, pool, sources, store, RunOptions(concurrency=32)
    )
    cells, settled, peak, begun = 0, 0, 0, time.perf_counter()
    for event in evaluation.events():
        if isinstance(event, CellFinished):
            cells += 1
            if cells % 1000 == 0:
                memory = process.memory_info().rss
                peak = max(peak, memory)
                settled = memory if cells == SETTLED else settled
    seconds = time.perf_counter() - begun
    pool.close()
    return {
        "cells": cells,
        "rate": cells / seconds,
        "grown_mib": (peak - settled) / 2**20,
        "peak_mib": peak / 2**20,
    }


def _look(view: RunView) -> dict[str, float]:
    from workbench.analysis.summary import summarize

    commands = [(Filter("failures"), Sort()), (Filter("different"), Sort()), (Filter(text="number 77"), Sort())]
    commands += [(Filter(), Sort("score", "v3")), (Filter(), Sort("disagreement", descending=True))]
    plain = max(_time(lambda at=at: view.rows(offset=at)) for at in range(0, CASES, CASES // 20))
    first, later = 0.0, 0.0
    for filter, sort in commands:
        first = max(first, _time(lambda f=filter, s=sort: view.rows(f, s)))
        later = max(later, _time(lambda f=filter, s=sort: view.rows(f, s, offset=500)))
    summarize(view)
    return {
        "page_ms": plain * 1000,
        "first_ms": first * 1000,
        "filtered_ms": later * 1000,
        "summary_seconds": _time(lambda: summarize(view)),
    }


def _time(action: Any) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


if __name__ == "__main__":
    print(json.dumps(carry_out(Path(sys.argv[1]))))
