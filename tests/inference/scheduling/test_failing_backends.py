"""The scheduler against a backend that fails at random: errors, steps aborted half-way, little room."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from fake_backend import CHUNK, CONTEXT, OUTPUTS, FakeEngine, code, define, expect
from hypothesis import given
from hypothesis import strategies as st

from workbench.inference.scheduling import slots
from workbench.inference.scheduling.backend import TokenRun
from workbench.inference.scheduling.loglikelihood import LoglikelihoodSequence
from workbench.inference.types import Failure, LoglikelihoodResult, Progress

CODES = (1, 2, -1, -2)
"""No place in the cache; called off; not a valid batch; a failure in the middle."""

TOKEN = st.integers(1, 3)
PROMPT = st.lists(TOKEN, min_size=1, max_size=24)
PRIORITY = st.integers(0, 1)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), PROMPT, st.integers(1, 12), PRIORITY),
        st.tuples(st.just("weigh"), PROMPT, st.lists(PROMPT, max_size=5), PRIORITY),
        st.tuples(st.just("cancel"), st.integers(0, 20), st.booleans(), st.just(0)),
        st.tuples(st.just("fail"), st.sampled_from(CODES), st.integers(1, 3), st.integers(0, 12)),
        st.tuples(st.just("way"), PROMPT, st.integers(1, 12), st.integers(0, 2)),
        st.tuples(st.just("step"), st.integers(1, 4), st.just(0), st.just(0)),
    ),
    max_size=40,
)


class HarshDesk(FakeEngine):
    """A desk that checks every batch."""

    def __init__(self, kv_tokens: int, kind: str, host_bytes: int) -> None:
        swaps = kind == "swaps"
        super().__init__(
            10_000 if swaps else kv_tokens,
            3 if swaps else 4,
            prefix_cache=kind != "no prefix cache",
            cached=0 if swaps else 20,
            host_bytes=host_bytes,
            partial=swaps,
            swaps=swaps,
        )
        self.backend.look = self.look
        self.failing = False

    def look(self, runs: Sequence[TokenRun]) -> None:
        """While an interactive request could be computed, no batch request is; and all is within limits."""
        check_limits(self, runs)
        owners = {row.slot: row for row in self.running}
        placed = (row for row in self.running if isinstance(row, LoglikelihoodSequence))
        owners |= {placement.slot: row for row in placed for placement in row.placements}
        assert {run.slot for run in runs} <= owners.keys()
        live = [row for row in self.running if row.interactive and not stuck(row)]
        if live and not self.failing:
            assert {owners[run.slot].priority for run in runs} == {0}


def stuck(row: object) -> bool:
    """Whether one waits for slots that its continuations need."""
    return isinstance(row, LoglikelihoodSequence) and row.started and not row.placements


def check_limits(desk: FakeEngine, runs: Sequence[TokenRun]) -> None:
    limits = desk.backend.limits
    decoding = [run for run in runs if len(run.tokens) == 1 and run.logits == "last"]
    assert len(desk.running) <= limits.running + limits.extra
    assert sum(len(run.tokens) for run in runs) <= CHUNK + len(decoding)
    assert len({run.slot for run in runs}) == len(runs)
    assert all(0 <= run.slot < limits.slots for run in runs)
    assert all(run.position >= 0 and run.position + len(run.tokens) <= CONTEXT for run in runs)
    assert sum(run.outputs for run in runs) <= OUTPUTS


KINDS = st.sampled_from(["shared cells", "no prefix cache", "swaps"])


@given(OPERATIONS, KINDS, st.sampled_from([45, 100, 300]), st.sampled_from([0, 300, 10**6]))
def test_whatever_fails_every_request_ends_once_and_nothing_is_lost(operations, kind, kv_tokens, host_bytes) -> None:  # type: ignore[no-untyped-def]
    desk = HarshDesk(kv_tokens, kind, host_bytes)
    asked: dict[int, tuple[list[int], int]] = {}
    weighed: dict[int, tuple[list[int], list[list[int]]]] = {}
    cancelled: set[int] = set()
    for name, first, second, third in operations:
        if name == "ask":
            asked[desk.ask(first, second, third)] = (first, second)
        elif name == "weigh":
            answers = [answer[: CONTEXT - len(first)] for answer in second]
            weighed[desk.score(first, answers, third)] = (first, answers)
        elif name == "cancel" and first in desk.prompts:
            cancelled.add(first)
            abort(desk, first, in_a_step=second)
        elif name == "fail" and (
            desk.backend.limits.prefix_cache or first != 2
        ):  # states that cannot be cut are not called off
            desk.failing = True
            desk.backend.faults += [(code(first), third)] * second
        elif name == "way":
            asked[preempt(desk, first, second, third)] = (first, second)
        elif name == "step":
            for _ in range(first):
                desk.events += desk.scheduler.step()
    desk.drain()
    check_ends(desk, asked, weighed, cancelled)
    desk.check_room()


def abort(desk: FakeEngine, number: int, in_a_step: bool) -> None:
    """As the engine does it: the step that is under way, or comes next, is left early; then the cancel comes."""
    if in_a_step:
        desk.preemption.abort(number)
        desk.events += desk.scheduler.step()
        desk.preemption.forget(number)
    desk.scheduler.cancel(number)


def preempt(desk: FakeEngine, prompt: list[int], most: int, steps: int) -> int:
    """As the engine does it: what nobody looks on makes way, until the request that goes first is there."""
    number = len(desk.prompts)
    desk.preemption.preempt(number)
    for _ in range(steps):
        desk.events += desk.scheduler.step()
    desk.preemption.resume(number)
    return desk.ask(prompt, most, 0)


def check_ends(
    desk: FakeEngine,
    asked: dict[int, tuple[list[int], int]],
    weighed: dict[int, tuple[list[int], list[list[int]]]],
    cancelled: set[int],
) -> None:
    """Each ended once: with the answer that it gets alone, with its likelihoods, cancelled, or with a failure."""
    failed = [event.request for event in desk.events if isinstance(event, Failure)]
    told = {event.request: event.likelihoods for event in desk.events if isinstance(event, LoglikelihoodResult)}
    for number in (*asked, *weighed):
        stops = [chunk.stop_reason for chunk in desk.chunks(number) if chunk.stop_reason]
        assert len(stops) + failed.count(number) + (number in told) == 1
        assert "cancelled" not in stops or number in cancelled
    for number, (prompt, most) in asked.items():
        whole = expect(prompt, min(most, CONTEXT - len(prompt)))
        ended = number not in failed and desk.end(number) != "cancelled"
        assert desk.text(number) == whole if ended else whole.startswith(desk.text(number))
    for number, likelihoods in told.items():
        prompt, answers = weighed[number]
        assert [one.logprob for one in likelihoods] == pytest.approx([define(prompt, answer) for answer in answers])


@given(st.lists(st.tuples(PROMPT, st.integers(1, 9)), min_size=2, max_size=8), st.sampled_from(CODES))
def test_a_batch_that_fails_once_costs_nobody_an_answer(asked: list[tuple[list[int], int]], number: int) -> None:
    desk = HarshDesk(400, "shared cells", 10**6)
    numbers = [desk.ask(prompt, most) for prompt, most in asked]
    desk.events += desk.scheduler.settle()
    desk.failing = True
    while desk.scheduler.busy:
        desk.backend.faults = [(code(number), 3)] if len(runs_of_next(desk)) > 1 else []
        desk.events += desk.scheduler.step()
        desk.backend.faults = []
        desk.events += desk.scheduler.step()
    assert not [event for event in desk.events if isinstance(event, Failure)]
    for number, (prompt, most) in zip(numbers, asked, strict=True):
        assert desk.text(number) == expect(prompt, most)
    desk.check_room()


def runs_of_next(desk: FakeEngine) -> list[object]:
    """Rows that write: each has a part of the next batch."""
    return [row for row in desk.running if row.decoding]


@pytest.mark.parametrize("patience", [1, 3, 8])
def test_a_request_that_shares_nothing_is_not_passed_over_for_ever(patience: int, monkeypatch) -> None:
    """Others that share with what is there keep coming; some go before it, and then it is its turn."""
    monkeypatch.setattr(slots, "PATIENCE", patience)
    desk = FakeEngine(kv_tokens=60, running=1, cached=16)
    desk.ask([1] * 12, 2, priority=1)
    odd = desk.ask([2] * 12, 2, priority=1)
    for place in range(4 * patience):
        desk.ask([1] * 12 + [3, place % 3 + 1], 2, priority=1)
        while len(begun(desk)) <= place:
            desk.events += desk.scheduler.step()
    desk.drain()
    assert begun(desk).index(odd) <= patience + 1
    assert sorted(begun(desk)) == sorted(desk.prompts)


def begun(desk: FakeEngine) -> list[int]:
    """Requests in the order in which they got their place."""
    return [event.request for event in desk.events if isinstance(event, Progress) and event.state == "running"]
