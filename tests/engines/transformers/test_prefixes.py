"""Prefixes against a plain list of what was put in: nothing is invented, nothing crosses owners, the budget holds."""

from __future__ import annotations

from collections.abc import Sequence

import torch  # noqa: TID253 - what is kept
from hypothesis import given
from hypothesis import strategies as st

from workbench.engines.prompts import shared_length
from workbench.engines.transformers.cache import Layers
from workbench.engines.transformers.prefixes import Prefixes

TOKEN_BYTES = 2 * 2 * 4
"""of one token, in one layer of one head and two numbers wide"""

PROMPTS = st.lists(
    st.tuples(st.sampled_from("ab"), st.lists(st.integers(0, 2), min_size=1, max_size=8)), min_size=1, max_size=20
)


def spell(owner: str, tokens: Sequence[int], start: int, end: int) -> Layers:
    """Keys and values that say whose they are, and what stood before them."""
    paths = [float(hash((owner, *tokens[: place + 1])) % 9973) for place in range(start, end)]
    block = torch.tensor(paths)[None, :, None].repeat(1, 1, 2)
    return [(block, -block)]


def put(prefixes: Prefixes, owner: str, tokens: Sequence[int]) -> None:
    known = prefixes.match(owner, tokens)
    if known < len(tokens):
        prefixes.put(owner, tokens, spell(owner, tokens, known, len(tokens)))


def check(prefixes: Prefixes, owner: str, tokens: Sequence[int], start: int) -> int:
    """How many tokens are known; that they are those, without gaps."""
    place = start
    for piece in prefixes.find(owner, tokens, start):
        length = piece.layers[0][0].shape[1]
        assert piece.start == place
        for (keys, values), (wanted, others) in zip(
            piece.layers, spell(owner, tokens, place, place + length), strict=True
        ):
            assert torch.equal(keys, wanted) and torch.equal(values, others)
        place += length
    return place


@given(prompts=PROMPTS, start=st.integers(0, 3))
def test_with_room_for_all_the_longest_beginning_that_any_had_is_known(
    prompts: list[tuple[str, list[int]]], start: int
) -> None:
    prefixes = Prefixes()
    for owner, tokens in prompts:
        put(prefixes, owner, tokens)
    for owner, tokens in prompts:
        asked = [*tokens[:-1], tokens[-1] + 1, 0]
        longest = max(shared_length(asked, other) for name, other in prompts if name == owner)
        assert prefixes.match(owner, asked) == longest
        assert check(prefixes, owner, asked, start) == max(start, longest)
    tree = {(owner, *tokens[:end]) for owner, tokens in prompts for end in range(1, len(tokens) + 1)}
    assert prefixes.bytes == len(tree) * TOKEN_BYTES


@given(prompts=PROMPTS, room=st.integers(0, 12))
def test_a_budget_holds_and_what_is_left_is_right(prompts: list[tuple[str, list[int]]], room: int) -> None:
    prefixes = Prefixes(room * TOKEN_BYTES)
    for owner, tokens in prompts:
        put(prefixes, owner, tokens)
        assert prefixes.bytes <= room * TOKEN_BYTES
    for owner, tokens in prompts:
        check(prefixes, owner, tokens, 0)


def test_what_was_used_last_stays() -> None:
    prefixes = Prefixes(8 * TOKEN_BYTES)
    put(prefixes, "a", [1, 2, 3, 4])
    put(prefixes, "a", [5, 6, 7, 8])
    assert check(prefixes, "a", [1, 2, 3, 4], 0) == 4
    put(prefixes, "a", [9, 9])
    assert [prefixes.match("a", tokens) for tokens in ([1, 2, 3, 4], [5, 6, 7, 8], [9, 9])] == [4, 0, 2]
