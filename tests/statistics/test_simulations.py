"""The simulations in their short form: coverage and false verdicts within the band, give or take what so few data sets
leave to chance. The long form is `python -m tests.simulations`; its table is tests/simulations/README.md."""

from __future__ import annotations

import numpy as np
import pytest

from tests.simulations import means
from tests.simulations.__main__ import PLANS, run
from tests.simulations.results import ALWAYS, SimulationResult, cover, lay_table
from workbench.statistics.interval import UNKNOWN

SLACK = 3.5
"""standard errors: of some hundred lines not one is outside by chance"""


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.simulate.__name__)
def test_coverage_and_false_verdicts_are_within_the_band(plan):
    found = run(plan, short=True)
    assert found
    outside = [one for one in found if not one.is_within(SLACK)]
    assert not outside, lay_table(outside)


def test_every_shape_has_an_interval_at_some_number_of_cases():
    found = list(means.simulate_means(np.random.default_rng(1), (1_000,), 10))
    assert all(one.shown >= ALWAYS for one in found)


def test_a_plain_percentile_bootstrap_would_be_found_out():
    """The simulations can fail: 20 scores near the ceiling, by the percentiles of resampled means."""
    random = np.random.default_rng(2)
    ends = []
    for _ in range(200):
        row = np.where(random.random(20) < 0.03, random.random(20), 1.0)
        drawn = random.choice(row, (200, 20)).mean(axis=1)
        ends.append(tuple(np.quantile(drawn, [0.025, 0.975])))
    found = cover("mean", "3% below 1", 20, ends, 1 - 0.03 / 2)
    assert found.covered < 0.6 and not found.is_within(SLACK)


def test_a_line_that_is_seldom_shown_or_holds_for_several_is_not_held_to_the_band():
    known = [(0.0, 1.0)] * 10
    assert cover("w", "s", 1, [*known, *[UNKNOWN] * 90], 2.0).is_within()
    assert cover("w", "s", 1, known, 2.0, remark="why").is_within()
    assert not cover("w", "s", 1, known, 2.0).is_within()
    assert not SimulationResult("w", "s", 1, 1000, 1.0, false=0.08).is_within(2.0)
    assert "**outside**" in lay_table([cover("w", "s", 1, known, 2.0)])
