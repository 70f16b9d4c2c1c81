"""Four LoRA over one model, eight inputs each: the engine against llama-server in its best order, and against four
`Llama(lora_path=...)`; and the memory that either holds. Run as a module, it is one measured process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.adapters import read_memory
from tests.benchmarks.contest import NEW, Row, Tokens, matrix, models, ratio, take_turns
from tests.benchmarks.engine import Loop
from tests.benchmarks.own import Own
from tests.benchmarks.programs import serve
from tests.benchmarks.shapes import LARGE, SMALL, ModelShape, write_adapter, write_shape
from tests.peers.llama_cpp_programs import Missing

ADAPTERS = 4
SLOTS = tuple(int(slots) for slots in os.environ.get("BENCH_SLOTS", "1,8").split(","))


def measure() -> list[Row]:
    """Rows for the table: what, figure, aim."""
    return [row for shape, kind, name in models() for row in _measure(shape, kind, name)]


def _measure(shape: ModelShape, kind: str, name: str) -> list[Row]:
    path, adapters = write_shape(shape, kind), _write_adapters(shape)
    ours, theirs = Own(path, 1024), [Loop(path, adapter) for adapter in adapters]
    _write_own(ours, adapters, _prompts(shape, 99))
    times = take_turns(
        {
            "ours": lambda turn: _write_own(ours, adapters, _prompts(shape, turn)),
            "theirs": lambda turn: sum(loop.write(_prompts(shape, turn)) for loop in theirs),
        }
    )
    ours.close()
    for loop in theirs:
        loop.close()
    what = f"{name}: {ADAPTERS} LoRA x 8 inputs"
    mine, others = (_run(way, shape, kind) for way in ("ours", "theirs"))
    memory = f"{mine / others:.2f}  ({mine / 2**20:.0f} MiB / {others / 2**20:.0f} MiB)"
    return [
        _serve(what, times["ours"], shape, path, adapters),
        ratio(f"{what} / {ADAPTERS} Llama objects", times["ours"], times["theirs"], "at most 0.45"),
        (f"{what}, memory / {ADAPTERS} Llama objects", memory, "weights once"),
    ]


def _serve(what: str, ours: float, shape: ModelShape, path: Path, adapters: list[Path]) -> Row:
    """The best of both orders and of the numbers of slots."""
    found: dict[str, float] = {}
    numbers, prompts = range(ADAPTERS), _prompts(shape, 0)
    orders = {
        "adapter by adapter": [(number, prompt) for number in numbers for prompt in prompts],
        "input by input": [(number, prompt) for prompt in prompts for number in numbers],
    }
    try:
        for slots in SLOTS:
            for order, cells in orders.items():
                with serve(path, slots, adapters) as server:
                    server.write(_prompts(shape, 99)[:1], NEW, [0])
                    asked, chosen = [prompt for _, prompt in cells], [number for number, _ in cells]
                    found[f"{order}, {slots} slots"] = server.write(asked, NEW, chosen)
    except Missing as reason:
        return f"{what} / llama-server", f"not run: {reason}", "at most 0.40"
    best = min(found, key=lambda way: found[way])
    row = ratio(f"{what} / llama-server, best order", ours, found[best], "at most 0.40")
    return row[0], f"{row[1][:-1]}; {best})", row[2]


def _prompts(shape: ModelShape, turn: int) -> list[Tokens]:
    return matrix(shape, turn, [0])


def _write_adapters(shape: ModelShape) -> list[Path]:
    return [write_adapter(shape, number) for number in range(ADAPTERS)]


def _write_own(ours: Own, adapters: list[Path], prompts: list[Tokens]) -> float:
    cells = [(prompt, adapter) for adapter in adapters for prompt in prompts]
    return ours.write([prompt for prompt, _ in cells], adapters=[adapter for _, adapter in cells]).seconds


def _run(way: str, shape: ModelShape, kind: str) -> float:
    command = [sys.executable, "-m", __name__, way, shape.name, kind]
    return float(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def _weigh_memory(way: str, shape: ModelShape, kind: str) -> float:
    """Bytes that a process holds once all adapters have answered."""
    path, adapters = write_shape(shape, kind), _write_adapters(shape)
    prompts = _prompts(shape, 0)
    before = read_memory()
    if way == "ours":
        _write_own(Own(path, 1024), adapters, prompts)
    else:
        loops = [Loop(path, adapter) for adapter in adapters]
        for loop in loops:
            loop.write(prompts[:1])
    return read_memory() - before


if __name__ == "__main__":
    print(json.dumps(_weigh_memory(sys.argv[1], {one.name: one for one in (SMALL, LARGE)}[sys.argv[2]], sys.argv[3])))
