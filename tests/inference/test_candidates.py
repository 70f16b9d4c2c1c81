"""Each way of cutting, warping and penalising a distribution, against its definition on small ones."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import EngineError
from workbench.inference.candidates import find_candidates, find_temperature
from workbench.inference.logprobs import Logits
from workbench.inference.sampler import Sampler, find_repeats
from workbench.inference.sampling_fields import FIELDS, check_sampling
from workbench.inference.sampling_tokens import SamplingTokens
from workbench.inference.types import Sampling


def logits_of(*chances: float) -> Logits:
    return np.log(np.array(chances, np.float32))


def draws(count: int, logits: Logits, tokens: SamplingTokens = SamplingTokens(), **sampling: Any) -> Counter[int]:
    sampler = Sampler(Sampling(**{"temperature": 1.0, "seed": 5, **sampling}), tokens)
    return Counter(sampler.choose(logits) for _ in range(count))


def test_top_n_sigma_keeps_what_lies_near_the_highest_logit() -> None:
    logits = np.array([10, 9, 8, 0, 0, 0, 0, 0], np.float32)
    least = 10 - 0.5 * logits.std()
    assert set(find_candidates(logits, Sampling(top_n_sigma=0.5)).tokens) == set(np.flatnonzero(logits >= least))


def test_typical_p_keeps_what_is_about_as_surprising_as_expected() -> None:
    chances = np.array([0.5, 0.25, 0.15, 0.1])
    entropy = -(chances * np.log(chances)).sum()
    order = np.argsort(abs(-np.log(chances) - entropy))
    for share in (0.2, 0.45, 0.8):
        kept = order[: int(np.searchsorted(np.cumsum(chances[order]), share)) + 1]
        found = find_candidates(logits_of(*chances), Sampling(typical_p=share)).tokens
        assert set(found) == set(kept)
    assert order[0] != 0  # the likeliest token is not the most typical one here


def test_xtc_leaves_the_least_likely_of_those_above_the_threshold() -> None:
    found = draws(300, logits_of(0.5, 0.3, 0.15, 0.05), xtc_probability=1.0, xtc_threshold=0.12)
    assert set(found) == {2, 3}
    assert set(draws(300, logits_of(0.9, 0.1), xtc_probability=1.0, xtc_threshold=0.5)) == {0, 1}  # one alone stays
    assert 0 in draws(300, logits_of(0.5, 0.3, 0.15, 0.05), xtc_probability=0.5, xtc_threshold=0.12)


def test_dynamic_temperature_follows_the_entropy() -> None:
    sampling = Sampling(temperature=1.0, dynatemp_range=0.5)
    sure = find_temperature(find_candidates(logits_of(0.9999, 0.0001), sampling), sampling)
    unsure = find_temperature(find_candidates(logits_of(0.5, 0.5), sampling), sampling)
    assert (sure, unsure) == (pytest.approx(0.5, abs=0.01), pytest.approx(1.5))
    assert find_temperature(find_candidates(logits_of(0.5, 0.5), Sampling()), Sampling(temperature=0.7)) == 0.7


@pytest.mark.parametrize("version", [1, 2])
def test_mirostat_holds_the_surprise_where_it_is_told_to(version: int) -> None:
    chances = 1 / np.arange(1, 2001) ** 1.1
    chances /= chances.sum()
    found = []
    for tau in (1.0, 3.0, 6.0):
        sampler = Sampler(Sampling(temperature=1.0, seed=2, mirostat=version, mirostat_tau=tau))
        chosen = [sampler.choose(logits_of(*chances)) for _ in range(500)][100:]
        counts = np.array(list(Counter(chosen).values())) / len(chosen)
        found.append(float(-(counts * np.log2(counts)).sum()))  # of what it draws, about the surprise that it sees
    assert found == pytest.approx([1.0, 3.0, 6.0], rel=0.25)


def test_dry_makes_what_would_repeat_a_sequence_unlikely() -> None:
    history = [1, 2, 3, 4, 9, 1, 2, 3]
    assert find_repeats(history, SamplingTokens()) == {4: 3}
    assert find_repeats(history, SamplingTokens(is_breaker=lambda token: token == 2)) == {4: 1}
    assert find_repeats([*history, 9], SamplingTokens(is_breaker=lambda token: token == 9)) == {}
    logits = np.array([0, 0, 0, 0, 5, 4, 0, 0, 0, 0], np.float32)
    sampling = Sampling(dry_multiplier=1.0, dry_base=2.0, dry_allowed_length=2)
    assert Sampler(sampling, prompt=history).choose(logits) == 5  # 4 loses 1.0 * 2 ** (3 - 2)
    assert Sampler(Sampling(dry_multiplier=1.0, dry_allowed_length=4), prompt=history).choose(logits) == 4
    assert Sampler(Sampling(dry_multiplier=1.0, dry_penalty_last_n=3), prompt=history).choose(logits) == 4


@given(st.lists(st.integers(0, 3), max_size=30))
def test_repeats_are_those_of_the_definition(history: list[int]) -> None:
    expected: dict[int, int] = {}
    for index in range(len(history) - 1):
        common = 0
        while common <= index and history[index - common] == history[-1 - common]:
            common += 1
        if common:
            expected[history[index + 1]] = max(expected.get(history[index + 1], 0), common)
    assert find_repeats(history, SamplingTokens()) == expected


def test_penalties_look_at_a_window() -> None:
    logits = np.array([2, 1, 0], np.float32)
    history = [0, 1, 1, 1]
    assert Sampler(Sampling(presence_penalty=5.0, repeat_last_n=3), prompt=history).choose(logits) == 0
    assert Sampler(Sampling(presence_penalty=5.0, repeat_last_n=-1), prompt=history).choose(logits) == 2
    assert Sampler(Sampling(presence_penalty=5.0, repeat_last_n=0), prompt=history).choose(logits) == 0


def test_an_answer_has_at_least_min_tokens_and_no_end_where_ends_are_ignored() -> None:
    logits = np.array([9, 1, 0], np.float32)
    ends = SamplingTokens(ends=frozenset((0,)))
    sampler = Sampler(Sampling(min_tokens=2), ends)
    assert [sampler.choose(logits) for _ in range(4)] == [1, 1, 0, 0]
    assert draws(50, logits, ends, ignore_eos=True).keys() == {1, 2}


def test_banned_words_are_never_completed() -> None:
    logits = np.array([5, 4, 3], np.float32)
    single = Sampler(Sampling(), SamplingTokens(banned=((0,),)))
    assert [single.choose(logits) for _ in range(3)] == [1, 1, 1]
    pair = Sampler(Sampling(), SamplingTokens(banned=((0, 0),)))
    assert [pair.choose(logits) for _ in range(4)] == [0, 1, 0, 1]


def test_forced_tokens_come_first() -> None:
    sampler = Sampler(Sampling())
    logits = np.array([5, 4, 3], np.float32)
    assert sampler.choose(logits) == 0
    sampler.force([2, 1])
    assert not sampler.plain
    assert [sampler.choose(logits) for _ in range(3)] == [2, 1, 0]


NUMBERS = [field for field in FIELDS if field.kind in ("number", "whole")]


@pytest.mark.parametrize("field", NUMBERS, ids=lambda field: field.name)
def test_the_ends_of_every_range_are_kept(field: Any) -> None:
    ends = (field.low if field.above else field.low - 1, field.high + 1)
    outside = [number for number in ends if np.isfinite(number)]
    for number in outside:
        value = int(number) if field.kind == "whole" else float(number)
        with pytest.raises(EngineError, match=f"{field.name} is "):
            check_sampling(Sampling(**{field.name: value}))
    check_sampling(Sampling())


def test_every_field_of_sampling_is_in_the_table() -> None:
    assert sorted(field.name for field in FIELDS) == sorted(Sampling.__struct_fields__)


def test_what_an_engine_cannot_honour_is_refused_by_name() -> None:
    with pytest.raises(EngineError, match="mirostat is set, which this engine cannot honour"):
        check_sampling(Sampling(mirostat=2), ("mirostat", "seed"))
