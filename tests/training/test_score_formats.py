"""Scores in the words of a training: what is a share of 1 is a percentage, and nothing else is."""

from __future__ import annotations

import math

import pytest

from workbench.training.child.evaluator import ValidationScorers
from workbench.training.events import REWARD_MARGIN, is_share
from workbench.training.sweep import _estimate
from workbench.units import format_score


@pytest.mark.parametrize(
    ("value", "share", "said"),
    [
        (0.5, True, "50.0%"),
        (0.81, False, "0.810"),
        (2.5, True, "2.500"),
        (-1.25, False, "-1.250"),
        (34.21, True, "34.2"),
    ],
)
def test_only_a_share_is_a_percentage(value, share, said):
    assert format_score(value, share) == said


def test_a_reward_margin_is_no_share_also_where_nobody_says_so():
    assert not is_share(REWARD_MARGIN, ()) and not is_share("KL", ())
    assert is_share("reward accuracy", ())
    assert not is_share("bleu", ("bleu",))


def test_scorers_whose_values_go_beyond_1_are_known_as_such(tmp_path):
    assert ValidationScorers(("exact_match", "edit_distance"), tmp_path).free == ("edit_distance",)


def test_a_sweep_gives_an_interval_to_rates_alone():
    rate = _estimate(0.75, 40)
    assert rate.low < 0.75 < rate.high
    for margin in (0.7312, 1.4, -0.2):
        found = _estimate(margin, 40)
        assert math.isnan(found.low) and found.unknown
