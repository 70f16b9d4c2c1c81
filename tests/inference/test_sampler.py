"""Choosing tokens, against the definition worked out over the whole vocabulary."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from workbench.errors import EngineError
from workbench.inference.candidates import find_candidates
from workbench.inference.constraints import Constraint
from workbench.inference.logprobs import Logits
from workbench.inference.sampler import Sampler
from workbench.inference.sampling_tokens import SamplingTokens
from workbench.inference.types import Sampling

LOGITS = st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=300).map(lambda row: np.array(row, np.float32))
LIMITS = st.builds(
    Sampling,
    temperature=st.just(1.0),
    top_k=st.integers(0, 20),
    top_p=st.sampled_from([1.0, 0.99, 0.9, 0.5, 0.01]),
    min_p=st.sampled_from([0.0, 0.01, 0.2, 1.0]),
)


def define(logits: Logits, sampling: Sampling) -> list[int]:
    """The tokens that may be drawn, likeliest first, by sorting everything."""
    order = sorted(range(len(logits)), key=lambda token: (-logits[token], token))
    order = order[: sampling.top_k or None]
    chances = np.exp(logits[order].astype(np.float64) - float(logits.max()))
    reached = np.cumsum(chances) / chances.sum()
    kept = next((index + 1 for index, sum_ in enumerate(reached) if sum_ >= sampling.top_p), len(order))
    order = order[:kept] if sampling.top_p < 1 else order
    return [token for token in order if np.exp(float(logits[token]) - float(logits.max())) >= sampling.min_p]


@given(LOGITS, LIMITS)
def test_the_tokens_that_can_be_drawn_are_those_of_the_definition(logits: Logits, sampling: Sampling) -> None:
    tokens, values = find_candidates(logits, sampling)
    expected = define(logits, sampling)
    assert list(values) == [logits[token] for token in tokens]
    # equal logits at an edge are interchangeable, and a sum within rounding of top_p may fall to either side
    assert abs(len(tokens) - len(expected)) <= 1 or sampling.top_k == sampling.top_p - 1 == sampling.min_p == 0
    assert all(logits[token] >= logits[expected].min() - 1e-5 for token in tokens if len(tokens) <= len(expected))


@given(LOGITS)
def test_without_limits_every_token_can_be_drawn(logits: Logits) -> None:
    tokens, _ = find_candidates(logits, Sampling(temperature=1.0))
    assert list(tokens) == list(range(len(logits)))


def test_draws_follow_the_probabilities() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.2], np.float32))
    sampler = Sampler(Sampling(temperature=1.0, seed=3))
    counts = Counter(sampler.choose(logits) for _ in range(4000))
    assert [counts[token] / 4000 for token in range(3)] == pytest.approx([0.5, 0.3, 0.2], abs=0.03)


def test_the_numbers_that_are_handed_in_stay_as_they_are() -> None:
    logits = np.array([1.0, 2.0, 3.0], np.float32)
    sampler = Sampler(Sampling(frequency_penalty=5.0), SamplingTokens({1: 4.0}), [2, 2])
    assert sampler.choose(logits) == 1
    assert list(logits) == [1.0, 2.0, 3.0]


class OnlyThese(Constraint):
    """Allows some tokens."""

    def __init__(self, *tokens: int) -> None:
        self.tokens = tokens
        self.taken: list[int] = []

    def allows(self, token: int) -> bool:
        return token in self.tokens

    def allowed_tokens(self) -> NDArray[np.intp]:
        return np.array(self.tokens, dtype=np.intp)

    def accept(self, token: int) -> None:
        self.taken.append(token)


@pytest.mark.parametrize("limits", [{}, {"temperature": 1.0}, {"temperature": 1.0, "top_k": 4, "top_p": 0.9}])
def test_rules_leave_only_what_they_allow(limits: dict[str, float]) -> None:
    rules = OnlyThese(1, 2)
    sampler = Sampler(Sampling(**limits, repetition_penalty=1.1), SamplingTokens({0: 3.0}), (), rules)  # type: ignore[arg-type]
    for _ in range(50):
        assert sampler.choose(np.array([9.0, 1.0, 0.0, 8.0, 7.0], np.float32)) in (1, 2)
    assert len(rules.taken) == 50


def test_rules_that_allow_nothing_are_an_error() -> None:
    with pytest.raises(EngineError, match="allows no token"):
        Sampler(Sampling(), constraint=OnlyThese()).choose(np.zeros(3, np.float32))
