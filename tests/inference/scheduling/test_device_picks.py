"""A backend whose device picks greedy tokens: answers are the same, and nothing that needs logits is picked."""

from __future__ import annotations

import pytest
from fake_backend import FakeEngine, define, expect, make_sequence
from hypothesis import given
from hypothesis import strategies as st

from workbench.inference.sampler import Sampler
from workbench.inference.scheduling.sequences import SequenceState
from workbench.inference.types import GenerateRequest, LoglikelihoodResult, Sampling

TOKEN = st.integers(1, 3)
PROMPT = st.lists(TOKEN, min_size=1, max_size=24)
ANSWERS = st.lists(st.lists(TOKEN, min_size=1, max_size=5), min_size=1, max_size=3)


@given(
    st.lists(st.tuples(PROMPT, st.integers(1, 9), st.integers(0, 1)), min_size=1, max_size=12),
    st.lists(st.tuples(PROMPT, ANSWERS), max_size=3),
    st.booleans(),
)
def test_every_answer_and_likelihood_is_what_it_is_with_logits(
    asked: list[tuple[list[int], int, int]], scored: list[tuple[list[int], list[list[int]]]], twice: bool
) -> None:
    desk = FakeEngine()
    desk.backend.picks = True
    for _ in range(1 + twice):  # the second time prompts are cached, and their last logits are not
        numbers = [desk.ask(prompt, most, priority) for prompt, most, priority in asked]
        likelihoods = [desk.score(prompt, answers) for prompt, answers in scored]
        desk.drain()
        for number, (prompt, most, _) in zip(numbers, asked, strict=True):
            assert desk.text(number) == expect(prompt, most)
        for number, (prompt, answers) in zip(likelihoods, scored, strict=True):
            found = next(e for e in desk.events if isinstance(e, LoglikelihoodResult) and e.request == number)
            expected = [define(prompt, answer) for answer in answers]
            assert [one.logprob for one in found.likelihoods] == pytest.approx(expected, abs=1e-4)
    assert desk.backend.picked > 0 or any(not expect(prompt, most) for prompt, most, _ in asked) or bool(scored)
    desk.check_room()


def test_plain_greedy_answers_are_picked_by_the_device() -> None:
    desk = FakeEngine()
    desk.backend.picks = True
    numbers = [desk.ask([1, 2, 3, number], 6) for number in (1, 2, 3)]
    desk.drain()
    written = sum(len(desk.text(number)) for number in numbers)
    assert desk.backend.picked >= written > 0


@pytest.mark.parametrize(
    "more",
    [
        {"top_logprobs": 2},
        {"deterministic": True},
        {"sampling": Sampling(temperature=0.7)},
        {"sampling": Sampling(repetition_penalty=1.1)},
        {"sampling": Sampling(min_tokens=3)},
        {"sampling": Sampling(thinking_budget=5)},
    ],
)
def test_what_needs_logits_is_not_greedy(more: dict[str, object]) -> None:
    plain = make_sequence(0, [1, 2], 5, 0)
    assert plain.greedy
    request = GenerateRequest(0, (), **more)  # type: ignore[arg-type]
    plain.chunks.request = request
    other = SequenceState(plain.chunks, Sampler(request.sampling, prompt=[1, 2]))
    assert not other.greedy
