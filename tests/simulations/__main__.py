"""`python -m tests.simulations`: every simulation, and the table of what it found.

With `--write` the table goes into README.md beside this file. Seeded: the same numbers every time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import means, whole
from .results import ERRORS, Result, lay_table

SEED = 20_261_130
_README = Path(__file__).with_name("README.md")
_MARK = "<!-- the table below is written by the command above -->\n"

Simulate = Callable[[np.random.Generator, tuple[int, ...], int], Iterator[Result]]


class Plan(NamedTuple):
    """A simulation, its numbers of cases and of data sets; short: the same for the test suite."""

    simulate: Simulate
    sizes: tuple[int, ...]
    datasets: int
    short: tuple[tuple[int, ...], int]


PLANS = (
    Plan(means.simulate_means, (15, 20, 30, 50, 100, 200, 500), 2_000, ((20, 50, 200), 400)),
    Plan(means.simulate_rates, (20, 50, 200, 1_000), 10_000, ((50,), 2_000)),
    Plan(means.simulate_repeats, (20, 50, 200), 2_000, ((50,), 400)),
    Plan(means.simulate_differences, (20, 30, 50, 100, 200), 6_000, ((30, 60), 300)),
    Plan(means.simulate_rate_differences, (20, 50, 100, 200, 500), 10_000, ((100,), 1_000)),
    Plan(means.simulate_families, (30, 100), 1_000, ((40,), 150)),
    Plan(means.simulate_needed, (50, 100, 300), 4_000, ((100,), 500)),
    Plan(whole.simulate_f1, (100, 200, 500), 400, ((200,), 40)),
    Plan(whole.simulate_repeated_f1, (100, 200), 400, ((100,), 50)),
    Plan(whole.simulate_corpus, (20, 50, 200), 400, ((50,), 80)),
    Plan(whole.simulate_ratings, (30, 100), 600, ((50,), 80)),
    Plan(whole.simulate_scale, (50, 200), 400, ((60,), 60)),
)


def run(plan: Plan, short: bool = False) -> list[Result]:
    """Every line of one simulation."""
    random = np.random.default_rng((SEED, PLANS.index(plan)))
    sizes, datasets = plan.short if short else (plan.sizes, plan.datasets)
    return list(plan.simulate(random, sizes, datasets))


def main() -> None:
    with ProcessPoolExecutor() as processes:
        found = [one for results in processes.map(run, PLANS) for one in results]
    table = lay_table(found)
    print(table)
    if "--write" in sys.argv:
        _README.write_text(_README.read_text().partition(_MARK)[0] + _MARK + "\n" + table)
    outside = [one for one in found if not one.is_within(ERRORS)]
    print(f"{len(found)} lines, {len(outside)} outside the band")
    sys.exit(1 if outside else 0)


if __name__ == "__main__":
    main()
