from __future__ import annotations

import math

import pytest

from workbench.errors import TrainingError
from workbench.training.guard import Guard


def test_a_loss_that_is_no_number_stops_with_what_to_try():
    guard = Guard(0.5)
    guard.step(1, 2.0, 1.0)
    with pytest.raises(TrainingError) as caught:
        guard.step(2, math.nan, 1.0)
    assert "update 2" in caught.value.message
    assert "learning_rate" in caught.value.hint


def test_a_loss_that_explodes_and_stays_up_stops():
    guard = Guard(0.5)
    for number in range(30):
        guard.step(number, 1.0, 1.0)
    with pytest.raises(TrainingError, match="exploded"):
        for number in range(30, 60):
            guard.step(number, 9.0, 1.0)


def test_a_single_bad_batch_is_no_explosion():
    guard = Guard(0.5)
    for number in range(60):
        guard.step(number, 9.0 if number % 7 == 3 else 1.0, 1.0)


def test_losses_that_part_ways_are_told_once():
    guard = Guard(0.5)
    told = [
        guard.examine(step, train, validation)
        for step, train, validation in [(10, 1.0, 1.0), (20, 0.5, 0.8), (30, 0.3, 0.9), (40, 0.1, 1.1), (50, 0.05, 1.3)]
    ]
    assert [bool(sentence) for sentence in told] == [False, False, False, True, False]
    assert "since update 20" in told[3]


def test_losses_that_fall_together_are_not_mentioned():
    guard = Guard(0.5)
    assert not any(guard.examine(step, 1 / step, 1.1 / step) for step in range(1, 20))


def test_a_guard_goes_on_where_it_stood():
    first = Guard(0.5)
    for number in range(20):
        first.step(number, 1.0, 1.0)
    second = Guard(0.5, first.standing)
    with pytest.raises(TrainingError, match="exploded"):
        for number in range(20, 40):
            second.step(number, 9.0, 1.0)
