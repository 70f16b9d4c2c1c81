"""Sets of adapters and the contexts they share, against fakes that keep every token apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.inference.scheduling.fake_backend import (
    CONTEXT,
    OUTPUTS,
    FakeBackend,
    FakeEngine,
    check_room,
    code,
    define,
    expect,
    make_loglikelihood,
    make_sequence,
)
from workbench.errors import ModelError
from workbench.inference.llamacpp import context_pool
from workbench.inference.llamacpp.adapters import ContextKey, LoraSet
from workbench.inference.llamacpp.context_pool import ContextPool
from workbench.inference.llamacpp.decode_strategy import DecodeStrategy
from workbench.inference.scheduling.backend import Limits
from workbench.inference.scheduling.batch import Part
from workbench.inference.scheduling.scheduler import Scheduler
from workbench.inference.scheduling.sequences import SequenceState
from workbench.inference.types import Chunk, Failure, LoglikelihoodResult, Outcome, fold

SETS: list[LoraSet] = [(), ((1, 1.0),), ((1, 0.5),), ((2, 1.0),), ((1, 0.5), (2, 0.5))]
TOKEN = st.integers(1, 3)
PROMPT = st.lists(TOKEN, min_size=1, max_size=20)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), PROMPT, st.integers(1, 12), st.integers(0, 9)),
        st.tuples(st.just("score"), PROMPT, st.lists(PROMPT, max_size=4), st.integers(0, 9)),
        st.tuples(st.just("cancel"), st.integers(0, 20), st.just(0), st.just(0)),
        st.tuples(st.just("step"), st.integers(1, 4), st.just(0), st.just(0)),
        st.tuples(st.just("pair"), st.booleans(), st.just(0), st.just(0)),
        st.tuples(st.just("memory"), st.booleans(), st.just(0), st.just(0)),
        st.tuples(st.just("fail"), st.sampled_from([1, 2, -1, -2]), st.integers(0, 4), st.just(0)),
    ),
    max_size=40,
)


class FakeContext(FakeBackend):
    """A context that is its own backend; its logits are those of the set that is applied to it."""

    def __init__(self, kv_tokens: int, adapters: LoraSet) -> None:
        super().__init__(Limits(4, 2, 12, kv_tokens, CONTEXT, 20, OUTPUTS), SETS.index(adapters))
        self.kv_tokens = kv_tokens
        self.open = True

    def apply(self, adapters: LoraSet) -> None:
        self.shift = SETS.index(adapters)
        self._slots.clear()

    def close(self) -> None:
        self.open = False


class Hand(DecodeStrategy):
    """Pairs as it is told."""

    together = False

    def pairs(self, first: Sequence[Part], second: Sequence[Part], granted: int) -> bool:
        return self.together and self.chooses(first) and self.chooses(second)


class House:
    """Contexts of all sets."""

    def __init__(self, kv_tokens: int) -> None:
        self.opened: list[FakeContext] = []
        self.memory = True
        self.hand = Hand()
        self.resources = FakeEngine(kv_tokens).resources
        self._kv_tokens = kv_tokens
        self.pool = ContextPool(
            self._open(()),  # type: ignore[arg-type]
            self._open,  # type: ignore[arg-type]
            self._schedule,  # type: ignore[arg-type]
            lambda: self.memory,
            self.resources,
            self.hand,
            lambda: 2,
        )
        self.events: list[Outcome] = []
        self.asked: dict[int, tuple[list[int], int, ContextKey]] = {}
        self.scored: dict[int, tuple[list[int], list[list[int]], ContextKey]] = {}

    def ask(self, prompt: list[int], most: int, key: ContextKey, priority: int) -> None:
        number = len(self.asked) + len(self.scored)
        if self._add(key, make_sequence(number, prompt, most, priority, key=key)):
            self.asked[number] = (prompt, most, key)

    def score(self, prompt: list[int], answers: Sequence[list[int]], key: ContextKey, priority: int) -> None:
        number = len(self.asked) + len(self.scored)
        if self._add(key, make_loglikelihood(number, prompt, answers, priority, key)):
            self.scored[number] = (prompt, list(answers), key)

    def step(self) -> None:
        self.events += self.pool.step()

    def drain(self) -> None:
        for _ in range(6000):
            if not self.pool.busy:
                return
            self.step()
        pytest.fail("it does not come to an end")

    def check(self, cancelled: set[int]) -> None:
        """Each ended once and as it would have alone; nothing is anywhere that belongs to nobody."""
        stops = Counter(event.request for event in self.events if isinstance(event, Chunk) and event.stop_reason)
        failed = Counter(event.request for event in self.events if isinstance(event, Failure))
        told = {event.request: event.likelihoods for event in self.events if isinstance(event, LoglikelihoodResult)}
        for number in (*self.asked, *self.scored):
            assert stops[number] + failed[number] + (number in told) == 1
        for number, (prompt, most, key) in self.asked.items():
            found = fold([event for event in self.events if isinstance(event, Chunk) and event.request == number])
            whole = expect(prompt, min(most, CONTEXT - len(prompt)), SETS.index(key.adapters))
            ended = number not in failed and found.stop_reason != "cancelled"
            assert found.stop_reason != "cancelled" or number in cancelled
            assert found.text == whole if ended else whole.startswith(found.text)
        for number, likelihoods in told.items():
            prompt, answers, key = self.scored[number]
            expected = [define(prompt, answer, SETS.index(key.adapters)) for answer in answers]
            assert [one.logprob for one in likelihoods] == pytest.approx(expected)
        self._check_room()

    def _check_room(self) -> None:
        for room in self.pool._rooms:
            if room.key.deterministic:
                slots = room.scheduler._slots
                assert len(slots._free) + len(slots.cached) == slots.limits.slots
            else:
                check_room(room.scheduler, room.context)  # type: ignore[arg-type]

    def _add(self, key: ContextKey, sequence: SequenceState) -> bool:
        try:
            self.pool.add(key, sequence)
        except ModelError:
            return False
        return True

    def _open(self, adapters: LoraSet) -> FakeContext:
        if not self.memory:
            raise ModelError("no memory")
        self.opened.append(FakeContext(self._kv_tokens, adapters))
        return self.opened[-1]

    def _schedule(self, context: FakeContext, key: ContextKey) -> Scheduler:
        alone = Limits(1, 0, 12, self._kv_tokens, CONTEXT, 20, OUTPUTS, prefix_cache=False)
        context.limits = alone if key.deterministic else Limits(4, 2, 12, self._kv_tokens, CONTEXT, 20, OUTPUTS)
        return Scheduler(context, self.resources)


@given(OPERATIONS, st.sampled_from([60, 200]), st.integers(1, 4))
def test_no_set_sees_what_another_has_computed(operations, kv_tokens, most_sets) -> None:  # type: ignore[no-untyped-def]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(context_pool, "MOST_SETS", most_sets)
        house = House(kv_tokens)
        cancelled: set[int] = set()
        for name, first, second, third in operations:
            key = ContextKey(SETS[third % len(SETS)], third == 7)
            if name == "ask":
                house.ask(first, second, key, third % 2)
            elif name == "score":
                house.score(first, [answer[: CONTEXT - len(first)] for answer in second], key, third % 2)
            elif name == "cancel":
                cancelled.add(first)
                house.pool.cancel(first)
            elif name == "pair":
                house.hand.together = first
            elif name == "fail":
                for context in house.opened:
                    if context.limits.prefix_cache:
                        context.faults.append((code(first), second))
            elif name == "memory":
                house.memory = first
            else:
                for _ in range(first):
                    house.step()
        house.drain()
        house.check(cancelled)
        house.pool.close()
        assert not any(context.open for context in house.opened)


def test_contexts_that_go_side_by_side_write_as_if_they_were_alone() -> None:
    house = House(300)
    for place in range(6):
        house.ask([1, 2, 3, place % 3 + 1] * 4, 12, ContextKey(SETS[place % 2]), 0)
    paired = 0
    while house.pool.busy:
        house.hand.together = paired % 2 == 0
        before = [len(context.batches) for context in house.opened]
        house.step()
        paired += sum(len(context.batches) > count for context, count in zip(house.opened, before, strict=False)) > 1
    assert paired
    house.check(set())


@pytest.mark.parametrize("patience", [1, 5])
def test_a_set_that_waits_for_a_context_gets_one_though_others_are_asked_for_all_the_time(
    patience: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context_pool, "MOST_SETS", 2)
    monkeypatch.setattr(context_pool, "PATIENCE", patience)
    house = House(200)
    busy = [ContextKey(applied) for applied in SETS[1:3]]
    for key in busy * 2:
        house.ask([1, 2], 4, key, 1)
    house.ask([3, 3], 4, ContextKey(SETS[3]), 1)
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
