"""Sets of adapters, the contexts they share and the one beside them, against fakes that keep every cell apart."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from fake_context import END, FakeContext, numbers
from hypothesis import given
from hypothesis import strategies as st
from test_scheduler_properties import write_part
from test_sharing import CONTEXT, Desk

from workbench.engines.answer import Answer
from workbench.engines.engine import Chunk, Failure, Outcome, Request, Sampling, Weighed, fold
from workbench.engines.likelihood import Logits
from workbench.engines.llamacpp import contexts as rooms
from workbench.engines.llamacpp.adapters import Laid, Use
from workbench.engines.llamacpp.admission import Limits
from workbench.engines.llamacpp.annex import Annex
from workbench.engines.llamacpp.context import Run
from workbench.engines.llamacpp.contexts import Contexts
from workbench.engines.llamacpp.layouts import Layout, Layouts
from workbench.engines.llamacpp.row import LlamaRow, WeighingRow
from workbench.engines.llamacpp.scheduler import Scheduler
from workbench.engines.sampler import Sampler
from workbench.engines.weighing import Branch, Branches
from workbench.errors import ModelError

SETS: list[Laid] = [(), ((1, 1.0),), ((1, 0.5),), ((2, 1.0),), ((1, 0.5), (2, 0.5))]
TOKEN = st.integers(1, 3)
PROMPT = st.lists(TOKEN, min_size=1, max_size=20)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), PROMPT, st.integers(1, 12), st.integers(0, 9)),
        st.tuples(st.just("weigh"), PROMPT, st.lists(PROMPT, max_size=4), st.integers(0, 9)),
        st.tuples(st.just("cancel"), st.integers(0, 20), st.just(0), st.just(0)),
        st.tuples(st.just("step"), st.integers(1, 4), st.just(0), st.just(0)),
        st.tuples(st.just("lay out"), st.sampled_from(["batch", "split", "single"]), st.booleans(), st.just(0)),
        st.tuples(st.just("memory"), st.booleans(), st.just(0), st.just(0)),
        st.tuples(st.just("fail"), st.sampled_from([1, 2, -1, -2]), st.integers(0, 4), st.booleans()),
    ),
    max_size=40,
)


class LaidContext(FakeContext):
    """Its numbers are those of the set that is laid over it, and a state is of use under that set alone.

    codes: what it says of its next batches, and how many tokens it has written by then where it could have.
    """

    def __init__(self, cells: int, laid: Laid) -> None:
        super().__init__(cells)
        self.laid = laid
        self.open = True
        self.codes: list[tuple[int, int]] = []

    def evaluate(self, runs: Sequence[Run], apart: bool = False) -> tuple[int, list[int]]:
        if not self.codes:
            return super().evaluate(runs, apart)
        code, part = self.codes.pop(0)
        if code == 2 or apart:
            write_part(self._sequences, runs, part)
        return code, []

    def logits(self, index: int) -> Logits:
        return shift(super().logits(index), self.laid)

    def lay(self, laid: Laid) -> None:
        self.laid = laid
        self.clear()

    def save(self, sequence: int) -> bytes:
        return json.dumps([self.laid, super().save(sequence).decode()]).encode()

    def load(self, sequence: int, state: bytes) -> bool:
        laid, own = json.loads(state)
        assert [list(one) for one in self.laid] == laid, "a state of another set of adapters"
        return super().load(sequence, own.encode())

    def close(self) -> None:
        self.open = False


class Hand(Layouts):
    """Layouts as they are told."""

    layout: Layout = "batch"
    together = False

    def choose(self, rows: int) -> Layout:
        return self.layout

    def pays_together(self, first: int, second: int) -> bool:
        return self.together


class House:
    """Contexts of all sets, and one to which rows are moved."""

    def __init__(self, cells: int, aside: int) -> None:
        self.opened: list[LaidContext] = []
        self.memory = True
        self.hand = Hand()
        self.annex = Annex(LaidContext(aside, ()), 3)  # type: ignore[arg-type]
        desk = Desk(cells)
        self.tools = desk.scheduler._tools._replace(layouts=self.hand, annex=self.annex, threads=lambda: 2)
        self.parking = desk.parking
        self._cells = cells
        base = self._open(())
        self.contexts = Contexts(base, self._open, self._schedule, lambda: self.memory, self.tools)  # type: ignore[arg-type]
        self.events: list[Outcome] = []
        self.asked: dict[int, tuple[list[int], int, Use]] = {}
        self.weighed: dict[int, tuple[list[int], list[list[int]], Use]] = {}

    def ask(self, prompt: list[int], most: int, use: Use, priority: int) -> None:
        number = len(self.asked) + len(self.weighed)
        request = Request(number, (), Sampling(max_tokens=most), priority=priority)
        row = LlamaRow(Answer(request, list(prompt), 0.0, (), None), Sampler(request.sampling, {}, prompt))
        if self._add(use, row):
            self.asked[number] = (prompt, most, use)

    def weigh(self, prompt: list[int], answers: Sequence[list[int]], use: Use, priority: int) -> None:
        number = len(self.asked) + len(self.weighed)
        branches = Branches.__new__(Branches)
        branches.request, branches.shared = Request(number, (), priority=priority), list(prompt)
        branches.all = [Branch(list(answer), 0, len(answer)) for answer in answers]
        row = WeighingRow(Answer(branches.request, list(prompt), 0.0, (), None), branches)
        if self._add(use, row):
            self.weighed[number] = (prompt, list(answers), use)

    def step(self) -> None:
        self.events += self.contexts.step()

    def drain(self) -> None:
        for _ in range(6000):
            if not self.contexts.busy:
                return
            self.step()
        pytest.fail("it does not come to an end")

    def check(self, cancelled: set[int]) -> None:
        """Each ended once and as it would have alone; nothing is anywhere that belongs to nobody."""
        stops = Counter(event.request for event in self.events if isinstance(event, Chunk) and event.stop_reason)
        failed = Counter(event.request for event in self.events if isinstance(event, Failure))
        told = {event.request: event.likelihoods for event in self.events if isinstance(event, Weighed)}
        for number in (*self.asked, *self.weighed):
            assert stops[number] + failed[number] + (number in told) == 1
        for number, (prompt, most, use) in self.asked.items():
            found = fold([event for event in self.events if isinstance(event, Chunk) and event.request == number])
            whole = write(prompt, min(most, CONTEXT - len(prompt)), use.laid)
            ended = number not in failed and found.stop_reason != "cancelled"
            assert found.stop_reason != "cancelled" or number in cancelled
            assert found.text == whole if ended else whole.startswith(found.text)
        for number, likelihoods in told.items():
            prompt, answers, use = self.weighed[number]
            expected = [define(prompt, answer, use.laid) for answer in answers]
            assert [one.logprob for one in likelihoods] == pytest.approx(expected)
        self._check_room()

    def _check_room(self) -> None:
        assert not self.annex._taken
        assert self.annex.context.used == 0
        for room in self.contexts._rooms:
            admission = room.scheduler._admission
            kept = admission.tree.own(admission.kept)
            if not room.use.fresh:
                assert room.context.used == admission.tree.size == kept
            assert len(admission._free) + len(admission.kept) == admission.limits.sequences

    def _add(self, use: Use, row: LlamaRow) -> bool:
        try:
            self.contexts.add(use, row)
        except ModelError:
            return False
        return True

    def _open(self, laid: Laid) -> LaidContext:
        if not self.memory:
            raise ModelError("no memory")
        self.opened.append(LaidContext(self._cells, laid))
        return self.opened[-1]

    def _schedule(self, context: LaidContext, use: Use) -> Scheduler:
        limits = Limits(4, 2, 12, self._cells, CONTEXT, 20, True)
        if use.fresh:
            limits = limits._replace(rows=1, guests=0, shares=False)
        tools = self.tools._replace(annex=None) if use.fresh else self.tools
        return Scheduler(context, limits, tools, use)  # type: ignore[arg-type]


def shift(row: Logits, laid: Laid) -> Logits:
    return np.roll(row, SETS.index(laid))


def write(prompt: Sequence[int], most: int, laid: Laid) -> str:
    """What is written behind a prompt under a set."""
    seen, text = list(prompt), ""
    while len(text) < most and (token := int(np.argmax(shift(numbers(seen), laid)))) != END:
        seen.append(token)
        text += chr(ord("a") + token)
    return text


def define(prompt: Sequence[int], answer: Sequence[int], laid: Laid) -> float:
    """The log-probability of an answer under a set."""
    total, seen = 0.0, list(prompt)
    for token in answer:
        row = shift(numbers(seen), laid).astype(np.float64)
        total += float(row[token] - np.log(np.exp(row).sum()))
        seen.append(token)
    return total


@given(OPERATIONS, st.sampled_from([60, 200]), st.sampled_from([0, 50, 150]), st.integers(1, 4))
def test_no_set_sees_what_another_has_computed_wherever_its_rows_are(operations, cells, aside, most_sets) -> None:  # type: ignore[no-untyped-def]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rooms, "MOST_SETS", most_sets)
        house = House(cells, aside)
        cancelled: set[int] = set()
        for name, first, second, third in operations:
            use = Use(SETS[third % len(SETS)], third == 7)
            if name == "ask":
                house.ask(first, second, use, third % 2)
            elif name == "weigh":
                house.weigh(first, [answer[: CONTEXT - len(first)] for answer in second], use, third % 2)
            elif name == "cancel":
                cancelled.add(first)
                house.contexts.cancel(first)
            elif name == "lay out":
                house.hand.layout, house.hand.together = first, second
            elif name == "fail":
                for context in [house.annex.context] if third else house.opened:
                    context.codes.append((first, second))
            elif name == "memory":
                house.memory = first
            else:
                for _ in range(first):
                    house.step()
        house.drain()
        house.check(cancelled)
        house.contexts.close()
        assert not any(context.open for context in house.opened)


@pytest.mark.parametrize("layout", ["split", "single", "batch"])
def test_rows_that_are_moved_in_the_middle_write_on_as_if_they_had_stayed(layout: Layout) -> None:
    house = House(300, 200)
    for place in range(6):
        house.ask([1, 2, 3, place % 3 + 1] * 4, 12, Use(SETS[place % 2]), 0)
    for turn in range(40):
        house.hand.layout = layout if turn % 3 else "batch"
        house.hand.together = turn % 2 == 0
        house.step()
    house.drain()
    house.check(set())


@pytest.mark.parametrize("code", [1, 2, -1, -2])
@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_step_that_fails_after_a_part_of_its_rows_costs_nobody_an_answer(code: int, part: int) -> None:
    house = House(300, 200)
    house.hand.layout = "split"
    prompts = (list(prompt) for prompt in itertools.product((1, 2, 3), repeat=4))
    for prompt in itertools.islice((prompt for prompt in prompts if len(write(prompt, 12, ())) == 12), 6):
        house.ask(prompt, 12, Use(), 0)
    met = 0
    while house.contexts.busy:
        rows = house.contexts._rooms[0].scheduler._rows.running
        several = sum(row.aside is None for row in rows) > 1 and sum(row.aside is not None for row in rows) > 1
        for context in (house.opened[0], house.annex.context):
            context.codes = [(code, part)] if several else []
        met += several
        house.step()
        for context in (house.opened[0], house.annex.context):
            context.codes.clear()
        house.step()
    assert met
    assert not [event for event in house.events if isinstance(event, Failure)]
    house.check(set())


@pytest.mark.parametrize("patience", [1, 5])
def test_a_set_that_waits_for_a_context_gets_one_though_others_are_asked_for_all_the_time(
    patience: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "MOST_SETS", 2)
    monkeypatch.setattr(rooms, "PATIENCE", patience)
    house = House(200, 0)
    busy = [Use(laid) for laid in SETS[1:3]]
    for use in busy * 2:
        house.ask([1, 2], 4, use, 1)
    house.ask([3, 3], 4, Use(SETS[3]), 1)
    odd, ended = 4, 0
    for _ in range(60 * patience):
        house.step()
        ends = [event.request for event in house.events if isinstance(event, Chunk) and event.stop_reason]
        if odd in ends:
            break
        for number in ends[ended:]:  # as one ends, another of its set comes
            house.ask([1, 2], 4, house.asked[number][2], 1)
        ended = len(ends)
    assert odd in ends
    assert len(ends) <= patience + 8
    house.drain()
    house.check(set())
