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

from . import margins, means, searches, whole
from .results import ERRORS, SimulationResult, lay_table

SEED = 20_261_130
_README = Path(__file__).with_name("README.md")
_MARK = "<!-- the table below is written by the command above -->\n"

Simulate = Callable[[np.random.Generator, tuple[int, ...], int], Iterator[SimulationResult]]


class SimulationPlan(NamedTuple):
    """A simulation, its numbers of cases and of data sets; short: the same for the test suite."""

    simulate: Simulate
    sizes: tuple[int, ...]
    datasets: int
    short: tuple[tuple[int, ...], int]


PLANS = (
    SimulationPlan(means.simulate_means, (15, 20, 30, 50, 100, 200, 500), 2_000, ((20, 50, 200), 400)),
    SimulationPlan(means.simulate_rates, (20, 50, 200, 1_000), 10_000, ((50,), 2_000)),
    SimulationPlan(means.simulate_repeats, (20, 50, 200), 2_000, ((50,), 400)),
    SimulationPlan(means.simulate_differences, (20, 30, 50, 100, 200), 6_000, ((30, 60), 300)),
    SimulationPlan(means.simulate_rate_differences, (20, 50, 100, 200, 500), 10_000, ((100,), 1_000)),
    SimulationPlan(means.simulate_families, (30, 100), 1_000, ((40,), 150)),
    SimulationPlan(means.simulate_needed, (50, 100, 300), 4_000, ((100,), 500)),
    SimulationPlan(whole.simulate_f1, (100, 200, 500), 400, ((200,), 40)),
    SimulationPlan(whole.simulate_repeated_f1, (100, 200), 400, ((100,), 50)),
    SimulationPlan(whole.simulate_corpus, (20, 50, 200), 400, ((50,), 80)),
    SimulationPlan(whole.simulate_ratings, (30, 100), 600, ((50,), 80)),
    SimulationPlan(whole.simulate_scale, (50, 200), 400, ((60,), 60)),
    SimulationPlan(margins.simulate_margin, (50, 200, 1_000), 2_000, ((200,), 200)),
    SimulationPlan(margins.simulate_alarm, (50, 200, 1_000), 2_000, ((100,), 200)),
    SimulationPlan(searches.simulate_example_searches, (60,), 200, ((40,), 8)),
    SimulationPlan(searches.simulate_instruction_searches, (60,), 200, ((40,), 3)),
    SimulationPlan(searches.simulate_joint_searches, (60,), 200, ((40,), 3)),
)


def run(plan: SimulationPlan, short: bool = False) -> list[SimulationResult]:
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
