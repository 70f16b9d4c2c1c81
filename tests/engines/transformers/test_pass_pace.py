"""Prompt tokens of a step, on machines where each pass costs something however short it is."""

from __future__ import annotations

import pytest

from workbench.engines.transformers.pace import LEAST_TOKENS, PassPace


def read_for_a_while(pace: PassPace, per_pass: float, per_token: float, watched: bool) -> int:
    """Tokens of the last of many steps."""
    for _ in range(50):
        tokens = pace.allow(watched, watched)
        pace.note(tokens, int(watched), per_pass * (1 + watched) + per_token * tokens)
        if watched:
            pace.note(0, 1, per_pass)
    return tokens


@pytest.mark.parametrize("watched", [False, True])
def test_passes_do_not_grow_shorter_and_shorter_where_each_costs_much(watched: bool) -> None:
    pace = PassPace(1024, 256)
    assert read_for_a_while(pace, 0.045, 0.001, watched) == (LEAST_TOKENS if watched else 256)
    assert pace.allow(False, False) == 256


def test_a_fast_machine_reads_more_in_a_step() -> None:
    assert read_for_a_while(PassPace(1024, 256), 0.001, 0.00001, False) == 1024
    assert read_for_a_while(PassPace(1024, 256), 0.001, 0.00001, True) > 256


def test_a_large_model_keeps_to_short_passes() -> None:
    assert read_for_a_while(PassPace(1024, 32), 0.5, 0.02, False) == 32
