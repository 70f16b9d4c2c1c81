"""What the scheduler does with a backend, against one that counts every token of its KV cache."""

from __future__ import annotations

import pytest
from fake_backend import CONTEXT, FakeEngine, code, count_prefixes, define, expect
from hypothesis import given
from hypothesis import strategies as st

from workbench.inference.types import LoglikelihoodResult, Progress

TOKEN = st.integers(1, 3)
PROMPT = st.lists(TOKEN, min_size=1, max_size=24)


@given(st.lists(st.tuples(PROMPT, st.integers(1, 9), st.integers(0, 1)), min_size=1, max_size=14), st.booleans())
def test_every_answer_is_what_it_is_alone(asked: list[tuple[list[int], int, int]], shares: bool) -> None:
    desk = FakeEngine(prefix_cache=shares)
    numbers = [desk.ask(prompt, most, priority) for prompt, most, priority in asked]
    desk.drain()
    for number, (prompt, most, _) in zip(numbers, asked, strict=True):
        assert desk.text(number) == expect(prompt, most)
    desk.check_room()


@given(st.lists(PROMPT, min_size=1, max_size=8))
def test_what_prompts_begin_with_is_evaluated_once(prompts: list[list[int]]) -> None:
    desk = FakeEngine(running=8, cached=1000)
    for prompt in prompts:
        desk.ask(prompt, 1)
    desk.drain()
    parts = {tuple(p) for p in prompts for q in prompts if len(p) < len(q) and q[: len(p)] == p}
    tree = count_prefixes(prompts)
    # the numbers behind a prompt that is a part of another are worth one token more
    assert tree <= desk.backend.evaluated <= tree + len(parts)


@given(st.lists(PROMPT.filter(lambda prompt: len(prompt) >= 8), min_size=1, max_size=8))
def test_asking_again_evaluates_nothing_of_a_prompt(prompts: list[list[int]]) -> None:
    desk = FakeEngine(kv_tokens=90, cached=30)
    for prompt in prompts:
        desk.ask(prompt, 1)
    desk.drain()
    before = desk.backend.evaluated
    for prompt in prompts:
        number = desk.ask(prompt, 1)
        desk.drain()
        assert desk.chunks(number)[-1].cached_tokens >= len(prompt) - 4
    assert desk.backend.evaluated - before <= 4 * len(prompts)
    desk.check_room()


def test_an_edit_at_the_end_evaluates_only_what_follows_it() -> None:
    desk = FakeEngine()
    prompt = [1, 2, 3] * 7
    desk.ask(prompt, 1)
    desk.drain()
    before = desk.backend.evaluated
    number = desk.ask([*prompt[:18], 5, 6], 1)
    desk.drain()
    assert desk.backend.evaluated - before == 2
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


KINDS = st.sampled_from(["shared cells", "no prefix cache", "slots of their own", "swaps"])
"""As llama.cpp, recurrent models in it, and transformers have it."""


def make_desk(kind: str, kv_tokens: int, host_bytes: int) -> FakeEngine:
    if kind in ("shared cells", "no prefix cache"):
        return FakeEngine(kv_tokens, prefix_cache=kind == "shared cells", cached=20, host_bytes=host_bytes)
    return FakeEngine(10_000, 3, cached=0, host_bytes=host_bytes, partial=True, swaps=kind == "swaps")


@given(OPERATIONS, KINDS, st.sampled_from([45, 100, 300]), st.sampled_from([0, 300, 10**6]))
def test_whatever_happens_nothing_is_lost_and_nobody_starves(operations, kind, cells, parked) -> None:  # type: ignore[no-untyped-def]
    desk = make_desk(kind, cells, parked)
    cancelled, weighed, asked = set(), {}, {}
    for name, first, second, priority in operations:
        if name == "ask":
            asked[desk.ask(first, second, priority)] = (first, second)
        elif name == "weigh":
            answers = [answer[: CONTEXT - len(first)] for answer in second]
            weighed[desk.score(first, answers, priority)] = (first, answers)
        elif name == "cancel":
            cancelled.add(first)
            desk.scheduler.cancel(first)
        elif name == "abort":
            desk.backend.faults = [(code(2), 0)] if desk.backend.limits.prefix_cache else []
        else:
            for _ in range(first):
                desk.step()
                check_priorities(desk)
        assert desk.host.bytes <= parked
    desk.drain()
    for number, (prompt, most) in asked.items():
        assert len([chunk for chunk in desk.chunks(number) if chunk.stop_reason]) == 1
        if desk.end(number) != "cancelled":
            assert desk.text(number) == expect(prompt, min(most, CONTEXT - len(prompt)))
    found = {event.request: event.likelihoods for event in desk.events if isinstance(event, LoglikelihoodResult)}
    assert set(weighed) - cancelled <= set(found)
    for number, likelihoods in found.items():
        prompt, answers = weighed[number]
        assert [one.logprob for one in likelihoods] == pytest.approx([define(prompt, answer) for answer in answers])
    desk.check_room()


def check_priorities(desk: FakeEngine) -> None:
    """Where someone looks on at a row, nothing else was computed for in the last batch."""
    rows = {row.slot: row for row in desk.running}
    if not desk.backend.batches:
        return
    computed = {rows[run.slot].priority for run in desk.backend.batches[-1] if run.slot in rows}
    writing = [row.priority for row in rows.values() if row.decoding and row.chunks.output_tokens > 1]
    if 0 in writing:
        assert 1 not in computed


def test_those_who_look_on_go_before_all_others() -> None:
    desk = FakeEngine(kv_tokens=1000, running=3)
    for place in range(9):
        desk.ask([1, 2, 3, place % 3 + 1] * 3, 9, priority=1)
    desk.step()
    live = desk.ask([3, 3, 3, 3], 3)
    started = len(desk.events)
    while not desk.end(live):
        desk.step()
    others = [event for event in desk.events[started:] if event.request != live and not isinstance(event, Progress)]
    assert not others
    desk.drain()


def test_requests_that_share_meet_and_none_waits_for_ever() -> None:
    desk = FakeEngine(kv_tokens=60, running=1, cached=16)
    prefixes = ([1] * 12, [2] * 12)
    for place in range(20):
        desk.ask([*prefixes[place % 2], 3, place % 3 + 1], 1, priority=1)
    desk.drain()
    assert desk.backend.evaluated <= 2 * 12 + 20 * 2 + 24


@pytest.mark.parametrize("moment", range(12))
def test_a_cancel_at_any_moment_frees_everything(moment: int) -> None:
    desk = FakeEngine(cached=0)
    asked = [desk.ask([1, 2, 3, 1, 2, 3, place + 1] * 3, 6) for place in range(3)]
    asked.append(desk.score([1, 2, 3, 1], [[1, 2, 3], [2], [3, 3, 3, 3]]))
    for _ in range(moment):
        desk.step()
    for number in asked:
        desk.scheduler.cancel(number)
    desk.step()
    assert desk.scheduler.sizes == (0, 0)
    desk.drain()
    assert desk.backend.used == 0


def test_a_call_that_comes_between_two_steps_is_not_lost() -> None:
    desk = FakeEngine()
    number = desk.ask([1] * 20)
    desk.scheduler.step()
    before = desk.backend.evaluated
    desk.preemption.abort(number)
    desk.scheduler.step()
    assert desk.backend.evaluated == before
    desk.preemption.forget(number)
    desk.scheduler.cancel(number)
    desk.scheduler.step()
    assert not desk.scheduler.busy


def test_a_prompt_that_begins_as_others_did_which_end_together_is_not_read_again() -> None:
    desk = FakeEngine(10_000, 2, cached=0, partial=True, swaps=True)
    shared = [1, 2, 3] * 5
    for token in (1, 2, 3):
        desk.ask([*shared, token], 1)
    desk.drain()
    assert desk.backend.evaluated == len(shared) + 3
