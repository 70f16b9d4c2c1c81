"""What the measures of the engines have in common: which models, how many rounds, whose turn it is, and the rows.

BENCH_SHAPES, BENCH_KINDS, BENCH_ROUNDS and BENCH_THREADS choose. Knows nothing of the contenders.
"""

from __future__ import annotations

import itertools
import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from tests.benchmarks.shapes import LARGE, SMALL, ModelShape

KINDS = tuple(os.environ.get("BENCH_KINDS", "q8_0,q4_0").split(","))
SHAPES = tuple(os.environ.get("BENCH_SHAPES", f"{SMALL.name},{LARGE.name}").split(","))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
THREADS = int(os.environ.get("BENCH_THREADS", "0")) or os.cpu_count() or 1

TEMPLATES, INPUTS, PROMPT, SYSTEM, TEMPLATE, NEW = 4, 8, 250, 100, 120, 24

Row = tuple[str, str, str]
Tokens = list[int]


def models() -> Iterator[tuple[ModelShape, str, str]]:
    """The shapes and kinds to measure, and what a row calls each."""
    for shape, kind in itertools.product((SMALL, LARGE), KINDS):
        if shape.name in SHAPES:
            yield shape, kind, f"{shape.name} {kind}"


def take_turns(contenders: Mapping[str, Callable[[int], float]], rounds: int = ROUNDS) -> dict[str, float]:
    """The median of each, measured A B A B. A contender is told the round, which is the same for all in it."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds):
        for name, run in contenders.items():
            found[name].append(run(turn))
    return {name: statistics.median(times) for name, times in found.items()}


def ratio(what: str, ours: float, theirs: float, aim: str, unit: str = "s") -> Row:
    """A row of seconds, ours first; unit: s or ms."""
    factor = 1000.0 if unit == "ms" else 1.0
    return what, f"{ours / theirs:.2f}  ({ours * factor:.2f} {unit} / {theirs * factor:.2f} {unit})", aim


def draw(shape: ModelShape, seed: int, count: int) -> Tokens:
    """Tokens that any text could have."""
    tokens: Tokens = np.random.default_rng(seed).integers(300, shape.vocabulary, count).tolist()
    return tokens


def matrix(shape: ModelShape, turn: int, templates: Sequence[int] = range(TEMPLATES)) -> list[Tokens]:
    """Prompts that begin with one system text, then with one of the templates; variant by variant.

    turn: no two have a token in common where they begin.
    """
    seed = turn * 10_000
    system = draw(shape, seed, SYSTEM)
    written = [draw(shape, seed + 50 + template, TEMPLATE) for template in templates]
    inputs = [draw(shape, seed + 900 + place, PROMPT - SYSTEM - TEMPLATE) for place in range(INPUTS)]
    return [[*system, *template, *text] for template, text in itertools.product(written, inputs)]


def count_tree(prompts: Sequence[Tokens]) -> int:
    """Tokens of the prompts, what several begin with counted once."""
    return len({tuple(prompt[:end]) for prompt in prompts for end in range(1, len(prompt) + 1)})
