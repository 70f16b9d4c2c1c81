from __future__ import annotations

import pytest

from workbench.inference.types import Completion
from workbench.runs.cost import Price, TimeShare, find_price, price_answer


class Hours:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_tokens_are_priced_by_the_million_and_time_by_the_hour():
    done = Completion(prompt_tokens=2000, output_tokens=500)
    assert price_answer(Price(input=3.0, output=10.0), done, 9.0) == pytest.approx(0.011)
    assert price_answer(Price(hour=1.8), done, 2.0) == pytest.approx(0.001)
    assert price_answer(None, done, 2.0) == 0.0


def test_the_first_name_with_a_price_counts_and_a_star_is_any_model():
    prices = {"desk": Price(hour=1), "*": Price(hour=2)}
    assert find_price(prices, "queues/desk", "desk") == Price(hour=1)
    assert find_price(prices, "other") == Price(hour=2)
    assert find_price({}, "desk") is None


def test_those_side_by_side_share_the_time_and_all_shares_add_up_to_it():
    clock = Hours()
    meter = TimeShare(clock)
    first = meter.begin()
    clock.now = 4.0
    second = meter.begin()
    clock.now = 6.0
    shares = [meter.end(first)]
    clock.now = 7.0
    shares.append(meter.end(second))
    clock.now = 50.0
    third = meter.begin()
    clock.now = 51.0
    shares.append(meter.end(third))
    assert shares == [5.0, 2.0, 1.0]
