from __future__ import annotations

import math

import pytest

from workbench.errors import TrainingError
from workbench.training.divergence_monitor import DivergenceMonitor


def test_a_loss_that_is_no_number_stops_with_what_to_try():
    monitor = DivergenceMonitor(0.5)
    monitor.step(1, 2.0, 1.0)
    with pytest.raises(TrainingError) as caught:
        monitor.step(2, math.nan, 1.0)
    assert "update 2" in caught.value.message
    assert "learning_rate" in caught.value.hint


def test_a_loss_that_explodes_and_stays_up_stops():
    monitor = DivergenceMonitor(0.5)
    for number in range(30):
        monitor.step(number, 1.0, 1.0)
    with pytest.raises(TrainingError, match="diverged: the loss"):
        for number in range(30, 60):
            monitor.step(number, 9.0, 1.0)


def test_a_single_bad_batch_is_no_explosion():
    monitor = DivergenceMonitor(0.5)
    for number in range(60):
        monitor.step(number, 9.0 if number % 7 == 3 else 1.0, 1.0)


def test_losses_that_part_ways_are_told_once():
    monitor = DivergenceMonitor(0.5)
    told = [
        monitor.check_losses(step, train, validation)
        for step, train, validation in [(10, 1.0, 1.0), (20, 0.5, 0.8), (30, 0.3, 0.9), (40, 0.1, 1.1), (50, 0.05, 1.3)]
    ]
    assert [bool(sentence) for sentence in told] == [False, False, False, True, False]
    assert "since update 20" in told[3]


def test_losses_that_fall_together_are_not_mentioned():
    monitor = DivergenceMonitor(0.5)
    assert not any(monitor.check_losses(step, 1 / step, 1.1 / step) for step in range(1, 20))


def test_a_guard_goes_on_where_it_stood():
    first = DivergenceMonitor(0.5)
    for number in range(20):
        first.step(number, 1.0, 1.0)
    second = DivergenceMonitor(0.5, first.state)
    with pytest.raises(TrainingError, match="diverged: the loss"):
        for number in range(20, 40):
            second.step(number, 9.0, 1.0)
