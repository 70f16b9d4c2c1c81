"""Many: a store of 300,000 cells opened, 1,000 GGUF files and 1,000 prompts found, 200,000 rows planned.

Run as a module with a folder, it is the measured program itself, so that its memory is its own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

sys.path.append(str(Path(__file__).parents[1]))  # where the fixtures lie

CASES, VARIANTS = 60_000, 5
FILES = 1_000
ROWS = 200_000

T = TypeVar("T")


def measure() -> list[tuple[str, str, str]]:
    """Rows for the table: what, figure, aim."""
    with tempfile.TemporaryDirectory() as folder:
        _make_store(Path(folder))
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.many", folder], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        seen: dict[str, float] = json.loads(done.stdout)
    store = f"{seen['open'] * 1000:.0f} ms, its first page {seen['page'] * 1000:.0f} ms"
    chosen = f"failures {seen['failures']:.2f} s, sorted {seen['sorted']:.2f} s, {seen['store_mib']:+.0f} MiB"
    models = f"{seen['models']:.2f} s, {seen['models'] / seen['listed']:.1f} times a bare listing of their heads"
    prompts = f"{seen['prompts']:.2f} s, again {seen['prompts_again']:.2f} s"
    rows = f"{seen['plan']:.1f} s, {seen['plan_mib']:+.0f} MiB"
    return [
        (f"a store of {CASES * VARIANTS:,} cells opened", store, "under a second"),
        ("its rows filtered and sorted the first time", chosen, "seconds, off the screen's thread"),
        (f"{FILES:,} GGUF files found", models, "seconds"),
        (f"{FILES:,} prompts listed", prompts, "seconds"),
        (f"{ROWS:,} rows of a CSV read and planned", rows, "seconds; memory flat"),
    ]


def _make_store(folder: Path) -> None:
    from stored_run import LABELS, answer, make_cases, plain_variants, store_run

    variants, cases = plain_variants(*"ABCDE"[:VARIANTS]), make_cases(CASES)
    cells = (
        answer(one.name, case, LABELS[(case.number + place) % 4])
        for place, one in enumerate(variants)
        for case in cases
    )
    store_run(folder / "workbench.sqlite", variants, cases, cells).store.close()


def look(folder: Path) -> dict[str, float]:
    """Everything that is measured."""
    return {**_look_at_store(folder), **_find_models(folder), **_list_prompts(folder), **_plan(folder)}


def _look_at_store(folder: Path) -> dict[str, float]:
    from workbench.runs.matrix_rows import Filter, Sort
    from workbench.runs.view import RunView
    from workbench.store.store import Store

    before = _memory()
    (store, view), opened = _time(lambda: ((found := Store(folder / "workbench.sqlite")), RunView(found, "last")))
    _, page = _time(view.rows)
    _, failures = _time(lambda: view.rows(Filter("failures")))
    _, ordered = _time(lambda: view.rows(sort=Sort("score", "B")))
    grown = _memory() - before
    store.close()
    return {"open": opened, "page": page, "failures": failures, "sorted": ordered, "store_mib": grown}


def _find_models(folder: Path) -> dict[str, float]:
    from gguf_fixture import write_gguf

    from workbench.models.discovery import discover_models

    models = folder / "models"
    models.mkdir()
    first = write_gguf(models / "model-0.gguf")
    for at in range(1, FILES):
        shutil.copyfile(first, models / f"model-{at}.gguf")
    _, listed = _time(lambda: [_read_head(path) for path in models.iterdir()])
    found, seconds = _time(lambda: discover_models([models]))
    if len(found) != FILES:
        raise RuntimeError(f"{len(found)} of {FILES} models were found")
    return {"models": seconds, "listed": listed}


def _read_head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(4096)


def _list_prompts(folder: Path) -> dict[str, float]:
    from workbench.library.library import Library

    prompts = folder / "prompts"
    prompts.mkdir()
    for at in range(FILES):
        text = f"---\nname: prompt {at}\ndescription: number {at}\n---\nuser:\nAnswer: {{{{ message }}}}\n"
        (prompts / f"prompt-{at}.prompty").write_text(text)
    library = Library(prompts, trash=folder / "trash")
    found, first = _time(library.entries)
    if len(found) != FILES:
        raise RuntimeError(f"{len(found)} of {FILES} prompts were listed")
    _, again = _time(library.entries)
    return {"prompts": first, "prompts_again": again}


def _plan(folder: Path) -> dict[str, float]:
    from workbench.datasets import load_cases
    from workbench.datasets.spec import Dataset
    from workbench.inference.pool import Pool
    from workbench.models.reference import Model
    from workbench.prompting.prompt import Prompt
    from workbench.runs.bench import Bench, Variant
    from workbench.runs.run import Evaluation, Sources
    from workbench.store.store import Store

    table = folder / "rows.csv"
    with table.open("w") as stream:
        stream.write("message,expected\n")
        stream.writelines(f"This is message number {at},label {at % 10}\n" for at in range(ROWS))
    script = folder / "desk.script.json"
    script.write_text(json.dumps({"rules": [{"reply": "label 1"}]}))
    model = Model("desk", script, "scripted")
    sources = Sources(lambda name: Prompt(name, "user:\n{{ message }}\n"), lambda name: model, lambda names: ())
    dataset = Dataset(str(table))
    store, pool = Store(folder / "plans.sqlite"), Pool()
    before = _memory()

    def plan() -> int:
        cases = load_cases(dataset, folder)
        bench = Bench((Variant("A", "a", "desk"), Variant("B", "b", "desk")), dataset, scorers=("exact_match",))
        return Evaluation(bench, folder / "many.bench.yaml", cases, pool, sources, store).plan().cells

    cells, seconds = _time(plan)
    grown = _memory() - before
    pool.close()
    store.close()
    if cells != 2 * ROWS:
        raise RuntimeError(f"{cells:,} of {2 * ROWS:,} cells were planned")
    return {"plan": seconds, "plan_mib": grown}


def _memory() -> float:
    return psutil.Process().memory_info().rss / 2**20


def _time(action: Callable[[], T]) -> tuple[T, float]:
    begun = time.perf_counter()
    done = action()
    return done, time.perf_counter() - begun


if __name__ == "__main__":
    print(json.dumps(look(Path(sys.argv[1]))))
