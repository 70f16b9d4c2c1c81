"""Prompt tokens of a step, on machines where each pass costs something however short it is."""

from __future__ import annotations

import pytest

from workbench.inference.scheduling.prefill_budget import PrefillBudget

LEAST = 32


def make(most: int, first: int) -> PrefillBudget:
    return PrefillBudget(most, first, least=(min(LEAST, first), first))


def read_for_a_while(budget: PrefillBudget, per_pass: float, per_token: float, interactive: bool) -> int:
    """Tokens of the last of many steps."""
    for _ in range(50):
        tokens = budget.next_chunk(interactive, interactive)
        budget.record(tokens, int(interactive), per_pass * (1 + interactive) + per_token * tokens)
        if interactive:
            budget.record(0, 1, per_pass)
    return tokens


@pytest.mark.parametrize("interactive", [False, True])
def test_passes_do_not_grow_shorter_and_shorter_where_each_costs_much(interactive: bool) -> None:
    budget = make(1024, 256)
    assert read_for_a_while(budget, 0.045, 0.001, interactive) == (LEAST if interactive else 256)
    assert budget.next_chunk(False, False) == 256


def test_a_fast_machine_reads_more_in_a_step() -> None:
    assert read_for_a_while(make(1024, 256), 0.001, 0.00001, False) == 1024
    assert read_for_a_while(make(1024, 256), 0.001, 0.00001, True) > 256


def test_a_large_model_keeps_to_short_passes() -> None:
    assert read_for_a_while(make(1024, 32), 0.5, 0.02, False) == 32


def test_what_a_device_takes_does_not_change_the_steps_of_the_deterministic_mode() -> None:
    budget = PrefillBudget(64, 256)
    assert budget.next_chunk(False, False) == 64
    assert budget.fixed_chunk == 256
