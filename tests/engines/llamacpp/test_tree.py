"""The tree of tokens against lists of tokens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workbench.engines.llamacpp.parking import Parking
from workbench.engines.llamacpp.tree import Tree
from workbench.engines.prompts import shared_length

PROMPT = st.lists(st.integers(0, 2), min_size=1, max_size=12)


def count(prompts: list[list[int]]) -> int:
    return len({tuple(prompt[:end]) for prompt in prompts for end in range(1, len(prompt) + 1)})


@given(st.lists(PROMPT, max_size=10), st.data())
def test_a_tree_holds_what_was_put_in_and_not_removed(prompts: list[list[int]], data: st.DataObject) -> None:
    tree = Tree()
    for number, prompt in enumerate(prompts):
        tree.insert(number, prompt)
        tree.advance(number, len(prompt))
    assert tree.size == count(prompts)
    left = dict(enumerate(prompts))
    for number in data.draw(st.permutations(sorted(left))):
        if data.draw(st.booleans()):
            tree.remove(number)
            del left[number]
        else:
            left[number] = left[number][: data.draw(st.integers(1, 12))]
            tree.cut(number, len(left[number]))
        assert tree.size == count(list(left.values()))
        assert {key: tree.tokens(key) for key in left} == left
        assert tree.own(left) == tree.size


@given(st.lists(PROMPT, min_size=1, max_size=8), PROMPT)
def test_the_longest_common_beginning_is_found(prompts: list[list[int]], asked: list[int]) -> None:
    tree = Tree()
    for number, prompt in enumerate(prompts):
        tree.insert(number, prompt)
    length, holders = tree.match(asked)
    assert length == max(shared_length(prompt, asked) for prompt in prompts)
    assert all(prompts[number][:length] == asked[:length] for number in holders)


@given(st.lists(st.tuples(PROMPT, st.integers(0, 12)), min_size=1, max_size=8), PROMPT, st.integers(0, 12))
def test_what_can_be_taken_over_is_all_that_any_other_has_seen(
    others: list[tuple[list[int], int]], asked: list[int], limit: int
) -> None:
    tree = Tree()
    for number, (prompt, seen) in enumerate(others):
        tree.insert(number, prompt)
        tree.advance(number, min(seen, len(prompt)))
    tree.insert(99, asked)
    place = 0
    for share in tree.shares(99, limit):
        prompt, seen = others[share.source]
        assert share.start == place < share.end <= min(seen, limit)
        assert prompt[: share.end] == asked[: share.end]
        place = share.end
    assert place == min(limit, max(min(shared_length(prompt, asked), seen) for prompt, seen in others))


@given(st.lists(st.tuples(st.sampled_from("ab"), PROMPT), max_size=20), st.integers(0, 60))
def test_parked_prefixes_stay_within_their_budget_and_with_their_owner(
    put: list[tuple[str, list[int]]], most: int
) -> None:
    parking = Parking(most)
    for owner, prompt in put:
        parking.put(owner, prompt, bytes([ord(owner), *prompt]))
        assert parking.bytes <= most
    for owner, prompt in put:
        found = parking.find(owner, prompt)
        if found:
            assert found.state[:1] == owner.encode()
            assert list(found.state[1 : found.length + 1]) == prompt[: found.length]
    assert parking.find("c", [1]) is None
