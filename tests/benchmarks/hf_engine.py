"""The transformers engine against transformers' own `generate` on the same weights, threads and tokens.

Eight rows side by side, four adapters in one step, and a matrix of prompts that begin alike. Run as a module it is the
measured process: torch would be in every later measurement's way.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.shapes import SMALL, ModelShape
from workbench import paths

ROWS, PROMPT, NEW, ADAPTERS, TEMPLATES, INPUTS = 8, 250, 16, 4, 4, 4
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
THREADS = int(os.environ.get("BENCH_THREADS", "0")) or os.cpu_count() or 1

Prompt = list[int]


def measure() -> list[tuple[str, str, str]]:
    """Rows for the table: what, figure, aim."""
    done = subprocess.run([sys.executable, "-m", __name__], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    name = f"hf {SMALL.name} {found['dtype']}"
    matrix = f"{TEMPLATES} x {INPUTS} prompts that begin alike"
    return [
        _steps(f"{name}: {ROWS} rows, a token each / generate", found["rows"], found["generate"]),
        _steps(f"{name}: {ADAPTERS} adapters, a token each / alone", found["mixed"], found["alone"]),
        _whole(f"{name}: {ROWS} prompts of {PROMPT} + {NEW} / generate", found["all"], found["generate all"]),
        _whole(f"{name}: {matrix} / generate, each", found["matrix"], found["cells"]),
        (f"{name}: prompt tokens evaluated / in the tree", f"{found['read']:.3f}", "at most 1.02"),
    ]


def _steps(what: str, ours: float, theirs: float) -> tuple[str, str, str]:
    return what, f"{ours / theirs:.2f}  ({ours * 1000:.1f} ms / {theirs * 1000:.1f} ms)", "at most 0.60"


def _whole(what: str, ours: float, theirs: float) -> tuple[str, str, str]:
    return what, f"{ours / theirs:.2f}  ({ours:.2f} s / {theirs:.2f} s)", ""


def write_folder(shape: ModelShape) -> Path:
    """A shape as a Hugging Face folder of random bf16 weights; written if it is not there."""
    folder = paths.cache_folder() / "benchmarks" / f"{shape.name}-hf"
    if not (folder / "model.safetensors").exists():
        import torch
        from hf_fixture import write_hf

        write_hf(
            folder,
            context_tokens=8192,
            dtype=torch.bfloat16,
            vocab_size=shape.vocabulary,
            hidden_size=shape.width,
            intermediate_size=shape.forward,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.kv_heads,
            tie_word_embeddings=True,
        )
    return folder


def report() -> None:
    """Print the medians, in seconds, as JSON."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    folder = write_folder(SMALL)
    ours = _Ours(folder)
    theirs = _Theirs(folder)
    prompts = [_numbers(SMALL, place, PROMPT) for place in range(ROWS)]
    found = {"dtype": ours.dtype, **_rows(ours, theirs, prompts), **_matrix(ours, theirs)}
    with tempfile.TemporaryDirectory() as scratch:
        found |= _adapters(ours, folder, Path(scratch), [prompt[:60] for prompt in prompts[:ADAPTERS]])
    print(json.dumps(found))


def _rows(ours: _Ours, theirs: _Theirs, prompts: list[Prompt]) -> dict[str, float]:
    """Whole runs, and a step with all rows: of `generate`, what more tokens cost than the first one."""
    times = _take_turns(
        {
            "all": lambda: ours.answer(prompts, 1 + NEW),
            "generate first": lambda: theirs.answer(prompts, 1),
            "generate all": lambda: theirs.answer(prompts, 1 + NEW),
            "rows": lambda: ours.step,  # of the run before
        }
    )
    times["generate"] = (times["generate all"] - times["generate first"]) / NEW
    assert [len(one) for one in ours.written] == [len(other) for other in theirs.written]
    return times


def _matrix(ours: _Ours, theirs: _Theirs) -> dict[str, float]:
    system = _numbers(SMALL, 99, 60)
    templates = [_numbers(SMALL, 50 + place, 140) for place in range(TEMPLATES)]
    inputs = [_numbers(SMALL, 900 + place, PROMPT - 200) for place in range(INPUTS)]
    prompts = [[*system, *template, *text] for template, text in itertools.product(templates, inputs)]
    times = _take_turns(
        {
            "matrix": lambda: ours.answer(prompts, NEW),
            "cells": lambda: sum(theirs.answer([prompt], NEW) for prompt in prompts),
        }
    )
    tree = len({tuple(prompt[:end]) for prompt in prompts for end in range(1, len(prompt) + 1)})
    return {**times, "read": ours.read / tree}


def _adapters(ours: _Ours, folder: Path, scratch: Path, prompts: list[Prompt]) -> dict[str, float]:
    from hf_fixture import LINEAR, write_adapter
    from peft import LoraConfig

    from workbench.models.reference import Adapter, Applied

    made = [
        write_adapter(folder, scratch / str(number), LoraConfig(r=16, target_modules=LINEAR), number)
        for number in range(ADAPTERS)
    ]
    laid = [(Applied(Adapter(path.name, path)),) for path in made]
    ours.answer(prompts, 1, laid)

    def mixed() -> float:
        ours.answer(prompts, 1 + NEW, laid)
        return ours.step

    def alone() -> float:
        total = 0.0
        for prompt, one in zip(prompts, laid, strict=True):
            ours.answer([prompt], 1 + NEW, [one])
            total += ours.step
        return total

    return _take_turns({"mixed": mixed, "alone": alone})


def _take_turns(contenders: dict[str, Callable[[], float]]) -> dict[str, float]:
    """The median of each, measured A B A B."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, run in contenders.items():
            found[name].append(run())
    return {name: statistics.median(times) for name, times in found.items()}


def _numbers(shape: ModelShape, seed: int, count: int) -> Prompt:
    tokens: Prompt = np.random.default_rng(seed).integers(300, shape.vocabulary, count).tolist()
    return tokens


class _Ours:
    """The engine, with prompts handed in as tokens; it knows nothing of them before."""

    def __init__(self, folder: Path) -> None:
        from workbench.inference.transformers.engine import TransformersEngine
        from workbench.models.reference import Model

        self._engine: Any = TransformersEngine.open(Model("shape", folder, "hf"), THREADS, 4096, lambda _: True)
        self._engine._vocabulary.ends = lambda token: False
        queue = self._engine._scheduler._queue
        write = queue.write

        def note(sequence: Any, token: int) -> Any:
            self.written[sequence.id].append(token)
            return write(sequence, token)

        queue.write = note
        self.dtype = self._engine.info.dtype
        self.read = 0
        self.step = 0.0
        self.written: list[Prompt] = []

    def answer(self, prompts: Sequence[Prompt], count: int, laid: Sequence[tuple[Any, ...]] = ()) -> float:
        """Seconds that so many tokens behind each prompt take."""
        from workbench.inference.chunk_builder import ChunkBuilder
        from workbench.inference.sampler import Sampler
        from workbench.inference.scheduling.sequences import SequenceState
        from workbench.inference.types import GenerateRequest, Sampling

        engine, sampling = self._engine, Sampling(max_tokens=count)
        engine._resources.host.clear()
        engine._scheduler._prefixes.clear()
        self.written = [[] for _ in prompts]
        before = engine.status.prefill_tokens
        started = time.perf_counter()
        for number, prompt in enumerate(prompts):
            adapters = engine._adapters.apply(laid[number] if laid else (), ())
            chunks = ChunkBuilder(GenerateRequest(number, (), sampling, priority=1), prompt, started, (), None)
            engine._scheduler.add(SequenceState(chunks, Sampler(sampling, prompt=prompt), adapters, adapters.key))
        steps = []
        while engine.busy:
            began, running = time.perf_counter(), list(engine._scheduler._queue.running)
            whole = len(running) == len(prompts) and all(sequence.decoding for sequence in running)
            engine.step()
            steps += [time.perf_counter() - began] * whole
        spent = time.perf_counter() - started
        self.step = statistics.median(steps) if steps else 0.0
        self.read = engine.status.prefill_tokens - before
        return spent


class _Theirs:
    """transformers' own loop, with the cache that it chooses."""

    def __init__(self, folder: Path) -> None:
        import torch
        import transformers

        self._model: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype="auto").eval()
        torch.set_num_threads(THREADS)
        self.written: list[Prompt] = []

    def answer(self, prompts: Sequence[Prompt], count: int) -> float:
        import torch

        torch.set_num_threads(THREADS)  # the engine may have been granted fewer
        ids = torch.tensor(list(prompts))
        settings = {"do_sample": False, "max_new_tokens": count, "eos_token_id": None, "pad_token_id": 0}
        started = time.perf_counter()
        made = self._model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **settings)
        spent = time.perf_counter() - started
        self.written = made[:, ids.shape[1] :].tolist()
        return spent


if __name__ == "__main__":
    report()
