"""What the scheduler does with a context, against one that counts every cell."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from fake_context import FakeContext, FakeVocabulary, count_prefixes, expect, numbers
from hypothesis import given
from hypothesis import strategies as st

from workbench.engines.answer import Answer
from workbench.engines.engine import Chunk, Outcome, Progress, Request, Sampling, Weighed, fold
from workbench.engines.llamacpp.admission import Limits
from workbench.engines.llamacpp.crew import Crew
from workbench.engines.llamacpp.interrupts import NativeInterrupts
from workbench.engines.llamacpp.layouts import Layouts
from workbench.engines.llamacpp.parking import Parking
from workbench.engines.llamacpp.row import LlamaRow, WeighingRow
from workbench.engines.llamacpp.scheduler import Scheduler
from workbench.engines.llamacpp.tools import Tools
from workbench.engines.pace import Pace
from workbench.engines.sampler import Sampler
from workbench.engines.tally import Tally
from workbench.engines.weighing import Branch, Branches

TOKEN = st.integers(1, 3)
PROMPT = st.lists(TOKEN, min_size=1, max_size=24)
CONTEXT = 40


class Desk:
    """A scheduler over a fake context."""

    def __init__(self, cells: int = 400, rows: int = 4, shares: bool = True, kept: int = 60, parked: int = 10**6):
        self.context = FakeContext(cells)
        self.parking = Parking(parked)
        self.interrupts = NativeInterrupts()
        ticks = itertools.count()
        tools = Tools(
            FakeVocabulary(),  # type: ignore[arg-type]
            lambda: float(next(ticks)),
            Pace(8, 8, fixed=True),
            self.parking,
            Crew(self.interrupts, lambda: 0.0),
            Tally(),
            24,
            lambda: 1,
            Layouts(),
        )
        limits = Limits(rows, 2, rows + 2 + 6, cells, CONTEXT, kept, shares)
        self.scheduler = Scheduler(self.context, limits, tools)  # type: ignore[arg-type]
        self.events: list[Outcome] = []
        self.prompts: dict[int, list[int]] = {}

    def ask(self, prompt: Sequence[int], most: int = 5, priority: int = 0) -> int:
        number = len(self.prompts)
        self.prompts[number] = list(prompt)
        sampling = Sampling(max_tokens=most)
        request = Request(number, (), sampling, priority=priority)
        answer = Answer(request, list(prompt), 0.0, (), None)
        self.scheduler.add(LlamaRow(answer, Sampler(sampling, {}, prompt)))
        return number

    def weigh(self, prompt: Sequence[int], answers: Sequence[Sequence[int]], priority: int = 0) -> int:
        number = len(self.prompts)
        self.prompts[number] = list(prompt)
        branches = Branches.__new__(Branches)
        branches.request = Request(number, (), priority=priority)
        branches.shared = list(prompt)
        branches.all = [Branch(list(answer), 0, len(answer)) for answer in answers]
        answer = Answer(branches.request, list(prompt), 0.0, (), None)
        self.scheduler.add(WeighingRow(answer, branches))
        return number

    def drain(self) -> None:
        steps = 0
        while self.scheduler.busy:
            self.events += self.scheduler.step()
            steps += 1
            assert steps < 5000, "it does not come to an end"

    def text(self, number: int) -> str:
        return fold(self.chunks(number)).text

    def chunks(self, number: int) -> list[Chunk]:
        return [event for event in self.events if isinstance(event, Chunk) and event.request == number]

    def end(self, number: int) -> str | None:
        return fold(self.chunks(number)).stop_reason

    def check_room(self) -> None:
        """Whatever is still there belongs to what is kept."""
        admission = self.scheduler._admission
        assert self.context.used == admission.tree.size == admission.tree.own(admission.kept)
        assert admission.free_cells == self.context.cells - self.context.used
        assert len(admission._free) + len(admission.kept) == admission.limits.sequences


@given(st.lists(st.tuples(PROMPT, st.integers(1, 9), st.integers(0, 1)), min_size=1, max_size=14), st.booleans())
def test_every_answer_is_what_it_is_alone(asked: list[tuple[list[int], int, int]], shares: bool) -> None:
    desk = Desk(shares=shares)
    numbers_ = [desk.ask(prompt, most, priority) for prompt, most, priority in asked]
    desk.drain()
    for number, (prompt, most, _) in zip(numbers_, asked, strict=True):
        assert desk.text(number) == expect(prompt, most)
    desk.check_room()


@given(st.lists(PROMPT, min_size=1, max_size=8))
def test_what_prompts_begin_with_is_evaluated_once(prompts: list[list[int]]) -> None:
    desk = Desk(rows=8, kept=1000)
    for prompt in prompts:
        desk.ask(prompt, 1)
    desk.drain()
    parts = {tuple(p) for p in prompts for q in prompts if len(p) < len(q) and q[: len(p)] == p}
    tree = count_prefixes(prompts)
    # the numbers behind a prompt that is a part of another are worth one token more
    assert tree <= desk.context.evaluated <= tree + len(parts)


@given(st.lists(PROMPT.filter(lambda prompt: len(prompt) >= 8), min_size=1, max_size=8))
def test_asking_again_evaluates_nothing_of_a_prompt(prompts: list[list[int]]) -> None:
    desk = Desk(cells=90, kept=30)
    for prompt in prompts:
        desk.ask(prompt, 1)
    desk.drain()
    before = desk.context.evaluated
    for prompt in prompts:
        number = desk.ask(prompt, 1)
        desk.drain()
        assert desk.chunks(number)[-1].cached_tokens >= len(prompt) - 4
    assert desk.context.evaluated - before <= 4 * len(prompts)
    desk.check_room()


def test_an_edit_at_the_end_evaluates_only_what_follows_it() -> None:
    desk = Desk()
    prompt = [1, 2, 3] * 7
    desk.ask(prompt, 1)
    desk.drain()
    before = desk.context.evaluated
    number = desk.ask([*prompt[:18], 5, 6], 1)
    desk.drain()
    assert desk.context.evaluated - before == 2
    assert desk.chunks(number)[-1].cached_tokens == 18


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), PROMPT, st.integers(1, 12), st.integers(0, 1)),
        st.tuples(st.just("weigh"), PROMPT, st.lists(PROMPT, max_size=5), st.integers(0, 1)),
        st.tuples(st.just("cancel"), st.integers(0, 20), st.just(0), st.just(0)),
        st.tuples(st.just("abort"), st.just(0), st.just(0), st.just(0)),
        st.tuples(st.just("step"), st.integers(1, 4), st.just(0), st.just(0)),
    ),
    max_size=40,
)


@given(OPERATIONS, st.booleans(), st.sampled_from([45, 100, 300]), st.sampled_from([0, 300, 10**6]))
def test_whatever_happens_nothing_is_lost_and_nobody_starves(operations, shares, cells, parked) -> None:  # type: ignore[no-untyped-def]
    desk = Desk(cells, shares=shares, kept=20, parked=parked)
    cancelled, weighed, asked = set(), {}, {}
    for name, first, second, priority in operations:
        if name == "ask":
            asked[desk.ask(first, second, priority)] = (first, second)
        elif name == "weigh":
            answers = [answer[: CONTEXT - len(first)] for answer in second]
            weighed[desk.weigh(first, answers, priority)] = (first, answers)
        elif name == "cancel":
            cancelled.add(first)
            desk.scheduler.cancel(first)
        elif name == "abort":
            desk.context.abort_next = shares
        else:
            for _ in range(first):
                desk.events += desk.scheduler.step()
                check_priorities(desk)
        assert desk.parking.bytes <= parked
    desk.drain()
    for number, (prompt, most) in asked.items():
        assert len([chunk for chunk in desk.chunks(number) if chunk.stop_reason]) == 1
        if desk.end(number) != "cancelled":
            assert desk.text(number) == expect(prompt, min(most, CONTEXT - len(prompt)))
    found = {event.request: event.likelihoods for event in desk.events if isinstance(event, Weighed)}
    assert set(weighed) - cancelled <= set(found)
    for number, likelihoods in found.items():
        prompt, answers = weighed[number]
        assert [one.logprob for one in likelihoods] == pytest.approx([define(prompt, answer) for answer in answers])
    desk.check_room()


def check_priorities(desk: Desk) -> None:
    """Where someone looks on at a row, nothing else was computed for in the last batch."""
    rows = {row.sequence: row for row in desk.scheduler._rows.running}
    if not desk.context.batches:
        return
    computed = {rows[run.sequence].priority for run in desk.context.batches[-1] if run.sequence in rows}
    writing = [row.priority for row in rows.values() if row.writing and row.answer.output_tokens > 1]
    if 0 in writing:
        assert 1 not in computed


def define(prompt: Sequence[int], answer: Sequence[int]) -> float:
    """The log-probability of an answer, token by token."""
    total, seen = 0.0, list(prompt)
    for token in answer:
        row = numbers(seen).astype(np.float64)
        total += float(row[token] - np.log(np.exp(row).sum()))
        seen.append(token)
    return total


def test_those_who_look_on_go_before_all_others() -> None:
    desk = Desk(cells=1000, rows=3)
    for place in range(9):
        desk.ask([1, 2, 3, place % 3 + 1] * 3, 9, priority=1)
    desk.events += desk.scheduler.step()
    live = desk.ask([3, 3, 3, 3], 3)
    started = len(desk.events)
    while not desk.end(live):
        desk.events += desk.scheduler.step()
    others = [event for event in desk.events[started:] if event.request != live and not isinstance(event, Progress)]
    assert not others
    desk.drain()


def test_requests_that_share_meet_and_none_waits_for_ever() -> None:
    desk = Desk(cells=60, rows=1, kept=16)
    prefixes = ([1] * 12, [2] * 12)
    for place in range(20):
        desk.ask([*prefixes[place % 2], 3, place % 3 + 1], 1, priority=1)
    desk.drain()
    assert desk.context.evaluated <= 2 * 12 + 20 * 2 + 24


@pytest.mark.parametrize("moment", range(12))
def test_a_cancel_at_any_moment_frees_everything(moment: int) -> None:
    desk = Desk(kept=0)
    asked = [desk.ask([1, 2, 3, 1, 2, 3, place + 1] * 3, 6) for place in range(3)]
    asked.append(desk.weigh([1, 2, 3, 1], [[1, 2, 3], [2], [3, 3, 3, 3]]))
    for _ in range(moment):
        desk.events += desk.scheduler.step()
    for number in asked:
        desk.scheduler.cancel(number)
    desk.events += desk.scheduler.step()
    assert not desk.scheduler.busy
    assert desk.context.used == 0


def test_a_call_that_comes_between_two_steps_is_not_lost() -> None:
    desk = Desk()
    number = desk.ask([1] * 20)
    desk.scheduler.step()
    before = desk.context.evaluated
    desk.interrupts.call_off(number)
    desk.scheduler.step()
    assert desk.context.evaluated == before
    desk.interrupts.forget(number)
    desk.scheduler.cancel(number)
    desk.scheduler.step()
    assert not desk.scheduler.busy
