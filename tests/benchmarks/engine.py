"""The engine against `llama_cpp.Llama` on the same file, threads and tokens, one after the other in turn.

A matrix of prompts that begin alike, the choices of a question, an edit of one variant in four, and the prompt tokens
evaluated over those in the tree. Ratios of medians; on a busy machine they are marked by the table's first line.
"""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.benchmarks.shapes import SMALL, Shape, write_shape

TEMPLATES, INPUTS, PROMPT, NEW, CHOICES, QUESTION = 4, 8, 250, 24, 4, 138
KINDS = tuple(os.environ.get("BENCH_KINDS", "q8_0,q4_0").split(","))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
THREADS = int(os.environ.get("BENCH_THREADS", "0")) or os.cpu_count() or 1

Row = tuple[str, str, str]


def measure() -> list[Row]:
    """Rows for the table: what, figure, aim."""
    return [row for kind in KINDS for row in _measure(SMALL, kind)]


def _measure(shape: Shape, kind: str) -> list[Row]:
    path = str(write_shape(shape, kind))
    ours, theirs = _Ours(path), _Theirs(path)
    prompts = _matrix(shape)
    contenders: dict[str, Callable[[], float]] = {
        "ours": lambda: ours.generate(prompts),
        "variant-major": lambda: theirs.generate(prompts),
        "input-major": lambda: theirs.generate(
            [prompts[t * INPUTS + i] for i in range(INPUTS) for t in range(TEMPLATES)]
        ),
    }
    times = _take_turns(contenders)
    ours.forget()
    cold = ours.generate(prompts)
    read = ours.read
    edited = _matrix(shape, seed=5)[:INPUTS]
    again = ours.generate(edited, warm=True)
    question = _numbers(shape, 77, QUESTION)
    choices = [_numbers(shape, 100 + place, 6) for place in range(CHOICES)]
    weights: dict[str, Callable[[], float]] = {
        "ours": lambda: ours.weigh(question, choices),
        "eval": lambda: theirs.weigh(question, choices),
    }
    weighed = _take_turns(weights)
    tree = len({tuple(prompt[:end]) for prompt in prompts for end in range(1, len(prompt) + 1)})
    name = f"{shape.name} {kind}"
    return [
        _ratio(f"{name}: matrix / Llama variant-major", times["ours"], times["variant-major"], "at most 0.40"),
        _ratio(f"{name}: matrix / Llama input-major", times["ours"], times["input-major"], "at most 0.30"),
        (f"{name}: prompt tokens evaluated / in the tree", f"{read / tree:.3f}  ({read} / {tree})", "at most 1.02"),
        _ratio(f"{name}: one variant of four edited / cold", again, cold, "at most 0.27"),
        _ratio(
            f"{name}: {CHOICES} choices / Llama.eval with all logits", weighed["ours"], weighed["eval"], "at most 0.12"
        ),
    ]


def _ratio(what: str, ours: float, theirs: float, aim: str) -> Row:
    return what, f"{ours / theirs:.2f}  ({ours:.2f} s / {theirs:.2f} s)", aim


def _take_turns(contenders: dict[str, Callable[[], float]]) -> dict[str, float]:
    """The median of each, measured A B A B."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, run in contenders.items():
            found[name].append(run())
    return {name: statistics.median(times) for name, times in found.items()}


def _numbers(shape: Shape, seed: int, count: int) -> list[int]:
    tokens: list[int] = np.random.default_rng(seed).integers(300, shape.vocabulary, count).tolist()
    return tokens


def _matrix(shape: Shape, seed: int = 1) -> list[list[int]]:
    """Prompts that begin with one system text, then with one of the templates; variant by variant."""
    system = _numbers(shape, 0, 60)
    templates = [_numbers(shape, seed * 50 + place, 140) for place in range(TEMPLATES)]
    inputs = [_numbers(shape, 900 + place, PROMPT - 200) for place in range(INPUTS)]
    return [[*system, *template, *text] for template, text in itertools.product(templates, inputs)]


class _Ours:
    """The engine, with prompts handed in as tokens."""

    def __init__(self, path: str) -> None:
        from pathlib import Path

        from workbench.engines.llamacpp.engine import LlamaEngine
        from workbench.models.reference import Model

        self._numbers = itertools.count()
        self._open = lambda: LlamaEngine.open(Model("shape", Path(path)), THREADS, 4096, lambda _: True)
        self._engine: Any = self._open()

    @property
    def read(self) -> int:
        found: int = self._engine.status.read_tokens
        return found

    def forget(self) -> None:
        self._engine.close()
        self._engine = self._open()

    def generate(self, prompts: list[list[int]], warm: bool = False) -> float:
        from workbench.engines.answer import Answer
        from workbench.engines.engine import Request, Sampling
        from workbench.engines.llamacpp.contexts import Use
        from workbench.engines.llamacpp.row import LlamaRow
        from workbench.engines.sampler import Sampler

        if not warm:
            self.forget()
        sampling = Sampling(max_tokens=NEW, logit_bias={"1": -1e4})
        started = time.perf_counter()
        for prompt in prompts:
            answer = Answer(Request(next(self._numbers), (), sampling, priority=1), prompt, started, (), None)
            self._engine._contexts.add(Use(), LlamaRow(answer, Sampler(sampling, {}, prompt)))
        self._drain()
        return time.perf_counter() - started

    def weigh(self, question: list[int], choices: list[list[int]]) -> float:
        from workbench.engines.answer import Answer
        from workbench.engines.engine import Request
        from workbench.engines.llamacpp.contexts import Use
        from workbench.engines.llamacpp.row import WeighingRow
        from workbench.engines.weighing import Branch, Branches

        self.forget()
        branches = Branches.__new__(Branches)
        branches.request, branches.shared = Request(next(self._numbers), ()), question
        branches.all = [Branch(choice, 0, 1) for choice in choices]
        started = time.perf_counter()
        answer = Answer(branches.request, question, started, (), None)
        self._engine._contexts.add(Use(), WeighingRow(answer, branches))
        self._drain()
        return time.perf_counter() - started

    def _drain(self) -> None:
        while any(scheduler.busy for scheduler in self._engine._contexts.schedulers):
            self._engine.step()


class _Theirs:
    """llama-cpp-python's own loop."""

    def __init__(self, path: str) -> None:
        from llama_cpp import Llama

        cores = THREADS
        self._settings = {"n_ctx": 1024, "n_threads": cores, "n_threads_batch": cores, "verbose": False}
        self._llama: Any = Llama(path, **self._settings)
        self._weigher: Any = Llama(path, logits_all=True, **self._settings)

    def generate(self, prompts: list[list[int]]) -> float:
        self._llama.reset()
        started = time.perf_counter()
        for prompt in prompts:
            for _ in itertools.islice(self._llama.generate(prompt, temp=0.0), NEW):
                pass
        return time.perf_counter() - started

    def weigh(self, question: list[int], choices: list[list[int]]) -> float:
        started = time.perf_counter()
        for choice in choices:
            self._weigher.reset()
            self._weigher.eval([*question, *choice])
            rows = self._weigher.scores[len(question) - 1 : len(question) + len(choice) - 1].astype(np.float64)
            rows[range(len(choice)), choice] - np.log(np.exp(rows).sum(axis=1))
        return time.perf_counter() - started
