"""Log-probabilities against their definition, computed in double precision."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.inference.logprobs import find_likeliest, token_logprob

LOGITS = st.lists(st.floats(-50, 50, width=32), min_size=2, max_size=200).map(lambda row: np.array(row, np.float32))


def token_to_bytes(token: int) -> bytes:
    return f"t{token}".encode()


@given(LOGITS, st.data())
def test_log_probabilities_are_the_log_of_the_softmax(logits, data):
    token = data.draw(st.integers(0, len(logits) - 1))
    exact = logits.astype(np.float64)
    exact -= np.log(np.exp(exact - exact.max()).sum()) + exact.max()
    assert token_logprob(logits, token, 3, token_to_bytes).logprob == pytest.approx(exact[token], abs=1e-5)


@given(LOGITS, st.integers(1, 10))
def test_the_guesses_are_the_likeliest_tokens_best_first(logits, count):
    top_logprobs = token_logprob(logits, 0, count, token_to_bytes).top_logprobs
    expected = np.sort(logits)[::-1][:count]
    found = [logits[int(guess.text[1:])] for guess in top_logprobs]
    assert found == list(expected)
    assert len({guess.text for guess in top_logprobs}) == min(count, len(logits))


@given(st.integers(0, 2**32), st.integers(1, 2000), st.integers(1, 50), st.sampled_from([3, 40, 10**6]))
def test_the_likeliest_are_those_of_a_full_sort(seed, size, count, values):
    """values: how many different ones; few make many equal."""
    logits = np.random.default_rng(seed).integers(0, values, size).astype(np.float32)
    logits[:: max(1, size // 7)] = -np.inf
    expected = np.argsort(-logits, kind="stable")[:count]
    assert find_likeliest(logits, count).tolist() == expected.tolist()


def test_half_a_character_is_shown_with_a_replacement():
    assert token_logprob(np.zeros(2, np.float32), 1, 1, lambda _token: b"\xc3").text == "\ufffd"
