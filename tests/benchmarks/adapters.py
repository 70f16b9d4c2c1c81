"""Adapters over a GGUF model: what a swap costs against loading anew, and what four sets of them take in memory.

The yardstick is one `llama_cpp.Llama(lora_path=...)` for each adapter. Times are those of the processor, and the least
of several, since other programs can only add to them. Run as a module with a folder and a way, it is one measured
process.
"""

from __future__ import annotations

import itertools
import json
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
        write_models(Path(folder), PANES + ROUNDS)
        ours, theirs = (_run(Path(folder), way) for way in ("ours", "theirs"))
    reload = theirs["swap"]
    rows = [
        (f"adapter swap: reload / {what}", f"{reload / ours[key]:.0f}  ({_ms(reload)} / {_ms(ours[key])})", aim)
        for what, key, aim in (
            ("a set in use", "known", "at least 20"),
            ("another scale", "scale", "at least 20"),
            ("an adapter never read", "new", "more than 1"),
        )
    ]
    memory = f"{ours['memory'] / 2**20:.0f} MiB / {theirs['memory'] / 2**20:.0f} MiB"
    what = f"memory of {PANES} adapter panes / {PANES} Llama objects"
    return [*rows, (what, f"{ours['memory'] / theirs['memory']:.2f}  ({memory})", "at most 0.5")]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def write_models(folder: Path, adapters: int) -> None:
    """A base and some adapters for it, 0.gguf and on."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    import gguf_fixture

    with mock.patch.multiple(gguf_fixture, **SHAPE):
        gguf_fixture.write_gguf(folder / "base.gguf", context_tokens=CONTEXT_TOKENS)
    for number in range(adapters):
        gguf_fixture.write_gguf_adapter(folder / f"{number}.gguf", folder / "base.gguf", seed=number, rank=16)


def _run(folder: Path, way: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.adapters", str(folder), way]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    report: dict[str, float] = json.loads(done.stdout)
    return report


def _measure_ours(folder: Path) -> dict[str, float]:
    """What a first token costs beyond one of the bare model, for the same work."""
    from workbench.inference.llamacpp.engine import LlamaEngine
    from workbench.inference.types import Chunk, GenerateRequest, Sampling
    from workbench.models.reference import Adapter, Applied, Model
    from workbench.prompting.prompt import Message

    numbers = itertools.count(100)
    before = read_memory()
    engine = LlamaEngine.open(Model("base", folder / "base.gguf"), 1, CONTEXT_TOKENS, lambda _: True)

    def ask(number: int = 0, scale: float = 1.0, laid: bool = True) -> float:
        adapters = (Applied(Adapter(str(number), folder / f"{number}.gguf", "gguf"), scale),) if laid else ()
        text = f"{next(numbers)}"  # no two begin alike, so that nothing is known of one from another
        request = GenerateRequest(next(numbers), (Message("user", text),), Sampling(max_tokens=1), adapters=adapters)
        started = time.process_time()
        engine.submit(request)
        while not any(isinstance(event, Chunk) for event in engine.step()):
            pass
        spent = time.process_time() - started
        while engine.busy:  # what it does while nobody waits
            engine.step()
        return spent

    plain = min(ask(laid=False) for _ in range(ROUNDS))
    for number in range(PANES):
        ask(number)
    memory = read_memory() - before
    known = min(ask(number) for _ in range(ROUNDS) for number in range(PANES))
    new = min(ask(PANES + number) for number in range(ROUNDS))
    scale = min(ask(0, 1 - step / 10) for step in range(1, 1 + ROUNDS))
    least = 1e-4  # below that the clock tells nothing
    costs = {"known": known, "new": new, "scale": scale}
    return {**{name: max(cost - plain, least) for name, cost in costs.items()}, "memory": memory}


def _measure_theirs(folder: Path) -> dict[str, float]:
    from llama_cpp import Llama

    before, models, times = read_memory(), [], []
    for number in range(PANES):
        started = time.process_time()
        path, lora = str(folder / "base.gguf"), str(folder / f"{number}.gguf")
        models.append(Llama(path, lora_path=lora, n_ctx=CONTEXT_TOKENS, n_threads=1, verbose=False))
        times.append(time.process_time() - started)
        models[-1].eval([1, 2, 3])
    return {"swap": min(times), "memory": read_memory() - before}


def read_memory() -> float:
    """Bytes that this process holds alone."""
    return float(psutil.Process().memory_full_info().uss)


if __name__ == "__main__":
    ways: dict[str, Callable[[Path], dict[str, float]]] = {"ours": _measure_ours, "theirs": _measure_theirs}
    print(json.dumps(ways[sys.argv[2]](Path(sys.argv[1]))))
