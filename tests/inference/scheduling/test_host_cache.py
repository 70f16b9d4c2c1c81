"""The host-memory prefix cache: within its capacity, for its owner alone, and whole where it is found."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workbench.inference.scheduling.backend import SavedState
from workbench.inference.scheduling.host_cache import HostCache

PROMPT = st.lists(st.integers(0, 2), min_size=1, max_size=12)
PUT = st.lists(st.tuples(st.sampled_from("ab"), PROMPT), max_size=20)


def save(owner: str, tokens: list[int]) -> SavedState:
    return SavedState((owner, tokens), len(tokens))


@given(PUT, st.integers(0, 60), st.booleans())
def test_prefixes_stay_within_the_capacity_and_with_their_owner(
    put: list[tuple[str, list[int]]], capacity: int, partial: bool
) -> None:
    cache = HostCache(capacity)
    for owner, prompt in put:
        start = cache.match(owner, prompt) if partial else 0
        if start < len(prompt):
            cache.put(owner, prompt, start, save(owner, prompt[start:]))
        assert cache.bytes <= capacity
        assert cache.bytes == sum(segment.state.nbytes for segment in cache._segments.values())
    for owner, prompt in put:
        found: list[int] = []
        for piece in cache.find(owner, prompt):
            saved_owner, tokens = piece.segment.state.data
            assert (saved_owner, piece.start) == (owner, len(found))
            found += tokens[piece.skip : piece.skip + piece.count]
        assert found == prompt[: cache.match(owner, prompt)]
    assert cache.find("c", [1]) == []
    cache.clear()
    assert (cache.bytes, len(cache), cache.match("a", [0])) == (0, 0, 0)


@given(st.lists(PROMPT, min_size=1, max_size=8))
def test_what_prompts_begin_with_is_saved_once(prompts: list[list[int]]) -> None:
    cache = HostCache(10**6)
    for prompt in prompts:
        start = cache.match("", prompt)
        if start < len(prompt):
            cache.put("", prompt, start, save("", prompt[start:]))
    assert cache.bytes == len({tuple(prompt[:end]) for prompt in prompts for end in range(1, len(prompt) + 1)})
    assert all(cache.match("", prompt) == len(prompt) for prompt in prompts)


def test_a_whole_state_takes_the_place_of_those_that_are_parts_of_it() -> None:
    cache = HostCache(10**6)
    for length in (3, 5, 9):
        cache.put("", [1] * length, 0, save("", [1] * length))
    assert (len(cache), cache.bytes) == (1, 9)


def test_a_segment_that_others_continue_stays_as_long_as_they_do() -> None:
    cache = HostCache(10)
    cache.put("", [1, 1, 1, 1], 0, save("", [1] * 4))
    cache.put("", [1, 1, 1, 1, 2, 2], 4, save("", [2, 2]))
    cache.put("", [3, 3, 3, 3], 0, save("", [3] * 4))
    cache.find("", [3, 3, 3, 3])
    cache.put("", [4, 4], 0, save("", [4, 4]))
    assert cache.match("", [1, 1, 1, 1, 2, 2]) == 4
    assert cache.match("", [3, 3, 3, 3]) == 4
