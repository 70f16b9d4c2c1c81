"""Prompt searches where nothing can be found: the labels have nothing to do with the messages."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tests.search.example_folder import SearchFolder, shuffle_labels
from tests.search.opened_search import open_search
from tests.search.planted_rules import write_task
from workbench.search.request import SearchMethod
from workbench.search.result import SearchResult
from workbench.statistics.interval import UNKNOWN

from .results import SimulationResult, cover

_DEV = 30
_EVALUATIONS = 12
"""of all of dev, in a search's budget"""


def simulate_example_searches(
    random: np.random.Generator, sizes: tuple[int, ...], datasets: int
) -> Iterator[SimulationResult]:
    """sizes: cases of the test part."""
    yield from _simulate(random, sizes, datasets, "examples", _search_examples)


def simulate_instruction_searches(
    random: np.random.Generator, sizes: tuple[int, ...], datasets: int
) -> Iterator[SimulationResult]:
    """With templates and with a reflector, whose rules change many answers."""
    yield from _simulate(random, sizes, datasets, "instructions", _search_rules)


def simulate_joint_searches(
    random: np.random.Generator, sizes: tuple[int, ...], datasets: int
) -> Iterator[SimulationResult]:
    yield from _simulate(random, sizes, datasets, "both", _search_rules)


Found = tuple[tuple[float, float], bool]
"""The interval of the winner's gain on test, unknown where the test stayed sealed; whether it is called better."""


def _simulate(
    random: np.random.Generator,
    sizes: tuple[int, ...],
    datasets: int,
    method: SearchMethod,
    search: Callable[[int, int, SearchMethod], Found],
) -> Iterator[SimulationResult]:
    for size in sizes:
        found = [search(int(random.integers(2**31)), size, method) for _ in range(datasets)]
        false = sum(improved for _, improved in found) / datasets
        ends = [interval for interval, _ in found]
        yield cover(f"search with {method}, winner on test", "labels shuffled", size, ends, 0.0, false)


def _search_rules(seed: int, size: int, method: SearchMethod) -> Found:
    """Each candidate answers by other rules and examples, and all are as good as a constant answer."""
    with contextlib.ExitStack() as held:
        work = Path(held.enter_context(tempfile.TemporaryDirectory()))
        held.enter_context(_home(work))
        bench = write_task(work / "task", 4, _DEV, size, noise=1.0, seed=seed, unsure="Abacus")
        calls = _EVALUATIONS * _DEV + 2 * size
        search, _ = held.enter_context(open_search(bench, method, calls=calls, seed=seed, reflector="reflector"))
        return _read(search.run())


def _search_examples(seed: int, size: int, method: SearchMethod) -> Found:
    with contextlib.ExitStack() as held:
        work = Path(held.enter_context(tempfile.TemporaryDirectory()))
        held.enter_context(_home(work))
        folder = held.enter_context(contextlib.closing(SearchFolder(work, (40, _DEV, size), unknown="Lantern")))
        shuffle_labels(folder.folder, seed)
        calls = _EVALUATIONS * _DEV + 2 * size
        return _read(folder.search(folder.request(calls, seed=seed, method=method)).run())


def _read(result: SearchResult | None) -> Found:
    assert result is not None
    test = result.test
    return (test.low, test.high) if test else UNKNOWN, result.improved


@contextlib.contextmanager
def _home(folder: Path) -> Iterator[None]:
    """The user's data in a folder of their own."""
    before = os.environ.get("WORKBENCH_HOME")
    os.environ["WORKBENCH_HOME"] = str(folder / "home")
    try:
        yield
    finally:
        os.environ.pop("WORKBENCH_HOME")
        if before is not None:
            os.environ["WORKBENCH_HOME"] = before
