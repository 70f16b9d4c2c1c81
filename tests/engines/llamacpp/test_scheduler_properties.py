"""The scheduler against a context that fails at random: native errors, steps called off half-way, little room."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from fake_context import FakeContext, expect
from hypothesis import given
from hypothesis import strategies as st
from test_sharing import CONTEXT, Desk, define

from workbench.engines.engine import Failure, Progress, Weighed
from workbench.engines.llamacpp import admission
from workbench.engines.llamacpp.context import Run
from workbench.engines.llamacpp.row import WeighingRow

TOKENS, OUTPUTS, ROWS, SEQUENCES = 8, 24, 6, 12
"""What Desk lets a batch hold of prompts and answers, the numbers it may want, rows with guests, and sequences."""

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


class HarshContext(FakeContext):
    """Answers with the codes it is told to, one a batch; checks what every batch may be.

    look: called with each batch. A batch that is called off, or that fails in the middle, has written a part.
    """

    def __init__(self, cells: int, look: Callable[[Sequence[Run]], None]) -> None:
        super().__init__(cells)
        self.codes: list[tuple[int, int]] = []
        self._look = look

    def evaluate(self, runs: Sequence[Run], apart: bool = False) -> tuple[int, list[int]]:
        check_budgets(runs)
        self._look(runs)
        code, part = self.codes.pop(0) if self.codes else (0, 0)
        if code == 2:
            write_part(self._sequences, runs, part)
        if code:
            self.batches.append(list(runs))
            return code, []
        return super().evaluate(runs, apart)


class HarshDesk(Desk):
    """A desk over such a context."""

    def __init__(self, cells: int, shares: bool, parked: int) -> None:
        super().__init__(cells, shares=shares, kept=20, parked=parked)
        self.context: HarshContext = HarshContext(cells, self.look)
        self.scheduler._context = self.context  # type: ignore[assignment]
        self.failing = False

    def look(self, runs: Sequence[Run]) -> None:
        """While someone looks on at a row that could be computed, no other one is; and the rows are within limits."""
        rows = self.scheduler._rows.running
        assert len(rows) <= ROWS
        owners = {row.sequence: row for row in rows}
        owners |= {place.sequence: row for row in rows if isinstance(row, WeighingRow) for place in row.places}
        assert {run.sequence for run in runs} <= owners.keys()
        live = [row for row in rows if row.priority == 0 and not stuck(row)]
        if live and not self.failing:
            assert {owners[run.sequence].priority for run in runs} == {0}


def write_part(sequences: dict[int, dict[int, tuple[int, object]]], runs: Sequence[Run], count: int) -> None:
    """The first tokens of a batch, as a step leaves them that is called off, or that fails in the middle."""
    for run in runs:
        places = sequences.setdefault(run.sequence, {})
        for offset, token in enumerate(run.tokens[:count]):
            places[run.position + offset] = (token, object())
        count -= min(count, len(run.tokens))


def stuck(row: object) -> bool:
    """Whether a weighing waits for sequences that its answers need."""
    return isinstance(row, WeighingRow) and row.begun and not row.places


def check_budgets(runs: Sequence[Run]) -> None:
    writing = [run for run in runs if len(run.tokens) == 1 and run.wants_logits and not run.wants_all]
    assert sum(len(run.tokens) for run in runs) <= TOKENS + len(writing)
    assert len({run.sequence for run in runs}) == len(runs)
    assert all(0 <= run.sequence < SEQUENCES for run in runs)
    assert all(run.position >= 0 and run.position + len(run.tokens) <= CONTEXT for run in runs)
    wanted = sum(len(run.tokens) if run.wants_all else run.wants_logits for run in runs)
    assert wanted <= OUTPUTS


@given(OPERATIONS, st.booleans(), st.sampled_from([45, 100, 300]), st.sampled_from([0, 300, 10**6]))
def test_whatever_fails_every_request_ends_once_and_nothing_is_lost(operations, shares, cells, parked) -> None:  # type: ignore[no-untyped-def]
    desk = HarshDesk(cells, shares, parked)
    asked: dict[int, tuple[list[int], int]] = {}
    weighed: dict[int, tuple[list[int], list[list[int]]]] = {}
    cancelled: set[int] = set()
    for name, first, second, third in operations:
        if name == "ask":
            asked[desk.ask(first, second, third)] = (first, second)
        elif name == "weigh":
            answers = [answer[: CONTEXT - len(first)] for answer in second]
            weighed[desk.weigh(first, answers, third)] = (first, answers)
        elif name == "cancel" and first in desk.prompts:
            cancelled.add(first)
            call_off(desk, first, in_a_step=second)
        elif name == "fail" and (shares or first != 2):  # states that cannot be cut are not called off
            desk.failing = True
            desk.context.codes += [(first, third)] * second
        elif name == "way":
            asked[make_way(desk, first, second, third)] = (first, second)
        elif name == "step":
            for _ in range(first):
                desk.events += desk.scheduler.step()
    desk.drain()
    check_ends(desk, asked, weighed, cancelled)
    desk.check_room()


def call_off(desk: Desk, number: int, in_a_step: bool) -> None:
    """As the engine does it: the step that is under way, or comes next, is left early; then the cancel comes."""
    if in_a_step:
        desk.interrupts.call_off(number)
        desk.events += desk.scheduler.step()
        desk.interrupts.forget(number)
    desk.scheduler.cancel(number)


def make_way(desk: Desk, prompt: list[int], most: int, steps: int) -> int:
    """As the engine does it: what nobody looks on makes way, until the request that goes first is there."""
    number = len(desk.prompts)
    desk.interrupts.make_way(number)
    for _ in range(steps):
        desk.events += desk.scheduler.step()
    desk.interrupts.go_on(number)
    return desk.ask(prompt, most, 0)


def check_ends(
    desk: Desk,
    asked: dict[int, tuple[list[int], int]],
    weighed: dict[int, tuple[list[int], list[list[int]]]],
    cancelled: set[int],
) -> None:
    """Each ended once: with the answer that it gets alone, with its likelihoods, cancelled, or with a failure."""
    failed = [event.request for event in desk.events if isinstance(event, Failure)]
    told = {event.request: event.likelihoods for event in desk.events if isinstance(event, Weighed)}
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
def test_a_batch_that_fails_once_costs_nobody_an_answer(asked: list[tuple[list[int], int]], code: int) -> None:
    desk = HarshDesk(400, True, 10**6)
    numbers = [desk.ask(prompt, most) for prompt, most in asked]
    desk.events += desk.scheduler.settle()
    desk.failing = True
    while desk.scheduler.busy:
        desk.context.codes = [(code, 3)] if len(runs_of_next(desk)) > 1 else []
        desk.events += desk.scheduler.step()
        desk.context.codes = []
        desk.events += desk.scheduler.step()
    assert not [event for event in desk.events if isinstance(event, Failure)]
    for number, (prompt, most) in zip(numbers, asked, strict=True):
        assert desk.text(number) == expect(prompt, most)
    desk.check_room()


def runs_of_next(desk: Desk) -> list[object]:
    """Rows that write: each has a part of the next batch."""
    return [row for row in desk.scheduler._rows.running if row.writing]


@pytest.mark.parametrize("patience", [1, 3, 8])
def test_a_request_that_shares_nothing_is_not_passed_over_for_ever(patience: int, monkeypatch) -> None:
    """Others that share with what is there keep coming; some go before it, and then it is its turn."""
    monkeypatch.setattr(admission, "PATIENCE", patience)
    desk = Desk(cells=60, rows=1, kept=16)
    desk.ask([1] * 12, 2, priority=1)
    odd = desk.ask([2] * 12, 2, priority=1)
    for place in range(4 * patience):
        desk.ask([1] * 12 + [3, place % 3 + 1], 2, priority=1)
        while len(begun(desk)) <= place:
            desk.events += desk.scheduler.step()
    desk.drain()
    assert begun(desk).index(odd) <= patience + 1
    assert sorted(begun(desk)) == sorted(desk.prompts)


def begun(desk: Desk) -> list[int]:
    """Requests in the order in which they got their place."""
    return [event.request for event in desk.events if isinstance(event, Progress) and event.state == "running"]
