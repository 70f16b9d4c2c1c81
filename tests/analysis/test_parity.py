from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workbench.analysis.parity import compare_tokens
from workbench.inference.types import Tokenized

IDS = st.lists(st.integers(0, 3), max_size=8)


def tokenized(ids: list[int]) -> Tokenized:
    pieces = tuple("abcd"[one] for one in ids)
    return Tokenized("".join(pieces), tuple(ids), pieces)


def test_a_lost_token_is_shown_where_it_is_missing() -> None:
    found = compare_tokens(tokenized([0, 1, 2, 3]), tokenized([0, 2, 3]))
    assert not found.holds
    assert [(stretch.position, stretch.left, stretch.right) for stretch in found.stretches] == [(1, ("b",), ())]


def test_the_same_text_in_other_tokens_is_told_as_such() -> None:
    found = compare_tokens(Tokenized("ab", (1,), ("ab",)), Tokenized("ab", (2, 3), ("a", "b")))
    assert found.same_text
    assert not found.holds


@given(IDS, IDS)
def test_the_stretches_lead_from_one_side_to_the_other(left: list[int], right: list[int]) -> None:
    found = compare_tokens(tokenized(left), tokenized(right))
    assert found.holds == (left == right)
    rebuilt = list(left)
    for stretch in reversed(found.stretches):
        rebuilt[stretch.position : stretch.position + len(stretch.left_ids)] = stretch.right_ids
    assert rebuilt == right
