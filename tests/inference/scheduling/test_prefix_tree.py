"""The tree of tokens against lists of tokens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workbench.inference.scheduling.prefix_tree import PrefixTree
from workbench.prompting.prompt_parts import shared_length

PROMPT = st.lists(st.integers(0, 2), min_size=1, max_size=12)


def count(prompts: list[list[int]]) -> int:
    return len({tuple(prompt[:end]) for prompt in prompts for end in range(1, len(prompt) + 1)})


@given(st.lists(PROMPT, max_size=10), st.data())
def test_a_tree_holds_what_was_put_in_and_not_removed(prompts: list[list[int]], data: st.DataObject) -> None:
    tree = PrefixTree()
    for number, prompt in enumerate(prompts):
        tree.insert(number, "", prompt)
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
    tree = PrefixTree()
    for number, prompt in enumerate(prompts):
        tree.insert(number, "", prompt)
    length, holders = tree.match("", asked)
    assert length == max(shared_length(prompt, asked) for prompt in prompts)
    assert all(prompts[number][:length] == asked[:length] for number in holders)


@given(st.lists(st.tuples(PROMPT, st.integers(0, 12)), min_size=1, max_size=8), PROMPT, st.integers(0, 12))
def test_what_can_be_taken_over_is_all_that_any_other_has_seen(
    others: list[tuple[list[int], int]], asked: list[int], limit: int
) -> None:
    tree = PrefixTree()
    for number, (prompt, seen) in enumerate(others):
        tree.insert(number, "", prompt)
        tree.advance(number, min(seen, len(prompt)))
    tree.insert(99, "", asked)
    place = 0
    for share in tree.shares(99, limit):
        prompt, seen = others[share.source]
        assert share.start == place < share.end <= min(seen, limit)
        assert prompt[: share.end] == asked[: share.end]
        place = share.end
    assert place == min(limit, max(min(shared_length(prompt, asked), seen) for prompt, seen in others))


@given(st.lists(st.tuples(st.sampled_from("ab"), PROMPT), min_size=1, max_size=8), PROMPT)
def test_owners_share_nothing(put: list[tuple[str, list[int]]], asked: list[int]) -> None:
    tree = PrefixTree()
    for number, (owner, prompt) in enumerate(put):
        tree.insert(number, owner, prompt)
        tree.advance(number, len(prompt))
    assert tree.size == sum(count([prompt for owner, prompt in put if owner == one]) for one in "ab")
    tree.insert(99, "a", asked)
    assert all(put[share.source][0] == "a" for share in tree.shares(99, len(asked)))
    assert tree.match("c", asked) == (0, ())
