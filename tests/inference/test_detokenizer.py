from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from workbench.inference.detokenizer import Detokenizer


@given(st.binary(max_size=40), st.lists(st.integers(0, 40)))
def test_any_split_of_any_bytes_gives_the_same_text(raw: bytes, cuts: list[int]) -> None:
    edges = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    detokenizer = Detokenizer()
    text = "".join(detokenizer.feed(raw[a:b]) for a, b in itertools.pairwise(edges))
    assert text + detokenizer.flush() == raw.decode("utf-8", "replace")


def test_a_character_split_over_tokens_comes_whole() -> None:
    detokenizer = Detokenizer()
    assert [detokenizer.feed(bytes([byte])) for byte in "😀".encode()] == ["", "", "", "😀"]
    assert detokenizer.flush() == ""
