"""The engine against `llama_cpp.Llama` on the same file, threads and tokens, in turns: a matrix of prompts that begin
alike, an edit of one variant in four, and the prompt tokens evaluated over those in the tree."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.contest import (
    INPUTS,
    NEW,
    ROUNDS,
    TEMPLATES,
    THREADS,
    Row,
    Tokens,
    count_tree,
    matrix,
    models,
    ratio,
    take_turns,
)
from tests.benchmarks.own import Own
from tests.benchmarks.shapes import ModelShape, write_shape


def measure() -> list[Row]:
    """Rows for the table: what, figure, aim."""
    return [row for shape, kind, name in models() for row in _measure(shape, write_shape(shape, kind), name)]


def _measure(shape: ModelShape, path: Path, name: str) -> list[Row]:
    ours, theirs = Own(path), Loop(path)
    ours.write(matrix(shape, 99)[:1])
    edits: list[float] = []
    read = [0, 0]

    def write(turn: int) -> float:
        """Cold; then the first variant is edited, and all of it run again."""
        prompts, before = matrix(shape, turn), ours.read
        cold = ours.write(prompts).seconds
        read[0] += ours.read - before
        read[1] += count_tree(prompts)
        edited = matrix(shape, turn, [TEMPLATES])
        edits.append(ours.write(edited).seconds / cold)
        return cold

    times = take_turns(
        {
            "ours": write,
            "variant-major": lambda turn: theirs.write(matrix(shape, turn)),
            "input-major": lambda turn: theirs.write(turn_over(matrix(shape, turn))),
        }
    )
    ours.close()
    theirs.close()
    edit = sorted(edits)[ROUNDS // 2]
    return [
        ratio(f"{name}: matrix / Llama, variant-major", times["ours"], times["variant-major"], "at most 0.40"),
        ratio(f"{name}: matrix / Llama, input-major", times["ours"], times["input-major"], "at most 0.30"),
        (f"{name}: prompt tokens evaluated / in the tree", f"{read[0] / read[1]:.3f}  ({read[0]} / {read[1]})",
         "at most 1.02"),
        (f"{name}: one variant of four edited / cold", f"{edit:.2f}  ({edit * times['ours']:.2f} s)", "at most 0.27"),
    ]  # fmt: skip


def turn_over(prompts: list[Tokens]) -> list[Tokens]:
    """Input by input, instead of variant by variant."""
    return [prompts[first + place] for place in range(INPUTS) for first in range(0, len(prompts), INPUTS)]


class Loop:
    """llama-cpp-python's own loop over the prompts. adapter: laid over the model for good."""

    def __init__(self, path: Path, adapter: Path | None = None) -> None:
        from llama_cpp import Llama

        settings = {"n_ctx": 1024, "n_threads": THREADS, "n_threads_batch": THREADS, "verbose": False}
        self._llama: Any = Llama(str(path), lora_path=str(adapter) if adapter else None, **settings)

    def write(self, prompts: list[Tokens]) -> float:
        """Seconds."""
        self._llama.reset()
        started = time.perf_counter()
        for prompt in prompts:
            written = sum(1 for _ in itertools.islice(self._llama.generate(prompt, temp=0.0), NEW))
            assert written == NEW
        return time.perf_counter() - started

    def close(self) -> None:
        self._llama.close()
