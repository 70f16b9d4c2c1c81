"""A device's steps are as large as it takes them well, by a measurement that stays within its time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.inference.llamacpp.simulated_device import SimulatedDevice
from workbench.inference.llamacpp.step_probe import BUDGET_SECONDS, PIECES, ROW_COUNTS, SLOW_SECONDS, StepProbe
from workbench.models.step_plan import CACHED_TOKENS, PROMPT_TOKENS, ROWS, StepPlan


def measure(device: SimulatedDevice, most_tokens: int = 2048, most_rows: int = 128) -> StepPlan:
    return StepProbe(device, most_tokens, most_rows, device.clock).measure()


def test_a_large_card_takes_long_pieces_and_many_rows() -> None:
    plan = measure(SimulatedDevice(weights=0.001, token=0.000_000_4))
    assert (plan.prompt_tokens, plan.rows, plan.source, plan.note) == (2048, 128, "measured", "")
    assert plan.lines[0] == "2048-token pieces, 128 rows, measured"


def test_a_processor_behind_rpc_takes_short_ones() -> None:
    plan = measure(SimulatedDevice(weights=0.002, token=0.000_2))
    assert (plan.prompt_tokens, plan.rows) == (64, 16)


def test_no_more_is_tried_than_there_is_room_for() -> None:
    device = SimulatedDevice(weights=0.001, token=0.000_000_4)
    plan = measure(device, most_tokens=512, most_rows=32)
    assert (plan.prompt_tokens, plan.rows) == (512, 32)
    assert max(count for _, count in device.steps) == 512


def test_a_slow_device_is_not_measured_and_says_so() -> None:
    device = SimulatedDevice(weights=0.21)
    plan = measure(device)
    assert plan == StepPlan(note="one token takes 0.21 s")
    assert len(device.steps) == 2
    assert plan.lines[:2] == ("512-token pieces, 32 rows, not measured", "one token takes 0.21 s")


def test_what_there_is_no_time_for_stays_as_usual_and_is_told() -> None:
    plan = measure(SimulatedDevice(weights=0.09, token=0.0001))
    assert (plan.prompt_tokens, plan.rows, plan.cached_tokens) == (PROMPT_TOKENS, ROWS, CACHED_TOKENS)
    assert plan.source == "measured"
    assert plan.note == "no time for pieces of 512 and more, saved prefixes, 8 rows and more"


@given(st.floats(1e-5, SLOW_SECONDS), st.floats(1e-7, 1e-2), st.floats(0, 1e-3), st.floats(0, 1e-4))
def test_it_stays_within_its_time_on_any_device(weights: float, token: float, row: float, save: float) -> None:
    device = SimulatedDevice(weights=weights, token=token, row=row, save=save)
    plan = measure(device)
    # a step that takes longer than expected is the last one; so is a copy of 64 tokens, which nothing tells the time of
    first = 2 * (weights + token + row + 0.0002)
    assert device.now <= 2 * BUDGET_SECONDS + first + PIECES[0] * save + 128 * row
    assert plan.prompt_tokens in PIECES and plan.rows in ROW_COUNTS
    assert plan.cached_tokens >= CACHED_TOKENS


@pytest.mark.parametrize(("save", "saves"), [(0.000_01, True), (0.001, False)])
def test_prefixes_are_saved_where_that_is_faster_than_prefill(save: float, saves: bool) -> None:
    assert measure(SimulatedDevice(token=0.000_1, save=save)).saves_prefixes is saves


def test_ended_prompts_stay_as_far_as_they_slow_no_step() -> None:
    free = measure(SimulatedDevice(cell=0.0)).cached_tokens
    dear = measure(SimulatedDevice(cell=0.000_001)).cached_tokens
    between = measure(SimulatedDevice(cell=0.000_000_02)).cached_tokens
    assert dear == CACHED_TOKENS < between < free
    assert between == pytest.approx(0.05 * 0.0011 / 0.000_000_02, rel=0.01)


@pytest.mark.parametrize(
    ("device", "sampled"),
    [
        (SimulatedDevice(row=0.000_1, pick=0.000_001), True),
        (SimulatedDevice(row=0.000_001, pick=0.000_1), False),
        (SimulatedDevice(row=0.000_1, picks=False), False),
    ],
)
def test_the_device_picks_tokens_where_that_saves_time(device: SimulatedDevice, sampled: bool) -> None:
    assert measure(device).device_sampling is sampled


def test_a_load_that_is_given_up_ends_the_measurement() -> None:
    device = SimulatedDevice()

    def check() -> None:
        if len(device.steps) > 5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        StepProbe(device, 2048, 128, device.clock, check).measure()
    assert len(device.steps) == 6
