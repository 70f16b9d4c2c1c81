"""Adapters over a GGUF model: what a swap costs against loading anew, and what four sets of them take in memory.

The yardstick is one `llama_cpp.Llama(lora_path=...)` for each adapter. Run as a module with a folder and a way, it is
one measured process.
"""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import psutil

PANES, CONTEXT_TOKENS, ROUNDS = 4, 1024, 5
SHAPE = {"WIDTH": 512, "LAYERS": 12, "HEADS": 8, "FORWARD": 1536}
"""Some 40 million parameters: large enough that weights matter, small enough for a busy machine."""


def measure() -> list[tuple[str, str, str]]:
    """Rows for the table: what, figure, aim."""
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder))
        ours, theirs = (_run(Path(folder), way) for way in ("ours", "theirs"))
    swap, first, reload = ours["swap"], ours["first"], theirs["swap"]
    memory = ours["memory"] / theirs["memory"]
    return [
        ("adapter swap: reload / known set", f"{reload / swap:.0f}  ({_ms(reload)} / {_ms(swap)})", "at least 20"),
        (
            "adapter swap: reload / set never used",
            f"{reload / first:.0f}  ({_ms(reload)} / {_ms(first)})",
            "more than 1",
        ),
        (
            f"memory of {PANES} adapter panes / {PANES} Llama objects",
            f"{memory:.2f}  ({ours['memory'] / 2**20:.0f} MiB / {theirs['memory'] / 2**20:.0f} MiB)",
            "at most 0.5",
        ),
    ]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def _write(folder: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    import gguf_fixture

    with mock.patch.multiple(gguf_fixture, **SHAPE):
        gguf_fixture.write_gguf(folder / "base.gguf", context_tokens=CONTEXT_TOKENS)
    for number in range(PANES):
        gguf_fixture.write_gguf_adapter(folder / f"{number}.gguf", folder / "base.gguf", seed=number, rank=16)


def _run(folder: Path, way: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.adapters", str(folder), way]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    report: dict[str, float] = json.loads(done.stdout)
    return report


def _measure_ours(folder: Path) -> dict[str, float]:
    from workbench.engines.engine import Chunk, Request, Sampling
    from workbench.engines.llamacpp.engine import LlamaEngine
    from workbench.models.reference import Adapter, Applied, Model
    from workbench.prompting.prompt import Message

    numbers = itertools.count()
    before = _memory()
    engine = LlamaEngine.open(Model("base", folder / "base.gguf"), 1, CONTEXT_TOKENS, lambda _: True)

    def ask(adapters: tuple[Applied, ...]) -> float:
        request = Request(next(numbers), (Message("user", "in"),), Sampling(max_tokens=1), adapters=adapters)
        started = time.perf_counter()
        engine.submit(request)
        while not any(isinstance(event, Chunk) for event in engine.step()):
            pass
        return time.perf_counter() - started

    plain = statistics.median(ask(()) for _ in range(ROUNDS))
    sets = [(Applied(Adapter(str(n), folder / f"{n}.gguf", "gguf")),) for n in range(PANES)]
    first = statistics.median(ask(adapters) for adapters in sets)
    swap = statistics.median(ask(adapters) for _ in range(ROUNDS) for adapters in sets)
    return {"first": max(first - plain, 1e-5), "swap": max(swap - plain, 1e-4), "memory": _memory() - before}


def _measure_theirs(folder: Path) -> dict[str, float]:
    from llama_cpp import Llama

    before, models, times = _memory(), [], []
    for number in range(PANES):
        started = time.perf_counter()
        path, lora = str(folder / "base.gguf"), str(folder / f"{number}.gguf")
        models.append(Llama(path, lora_path=lora, n_ctx=CONTEXT_TOKENS, n_threads=1, verbose=False))
        times.append(time.perf_counter() - started)
        models[-1].eval([1, 2, 3])
    return {"swap": statistics.median(times), "memory": _memory() - before}


def _memory() -> float:
    return float(psutil.Process().memory_full_info().uss)


if __name__ == "__main__":
    ways: dict[str, Callable[[Path], dict[str, float]]] = {"ours": _measure_ours, "theirs": _measure_theirs}
    print(json.dumps(ways[sys.argv[2]](Path(sys.argv[1]))))
