"""The same conversation as two engines lay it out and split it into tokens, and where they part.

A template that differs by one space costs accuracy and says nothing.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import NamedTuple

from workbench.inference.types import Tokenized


class TokenDifference(NamedTuple):
    """Tokens that differ. position: of the first one, from 0, on the left side; one side may have none."""

    position: int
    left: tuple[str, ...]
    right: tuple[str, ...]
    left_ids: tuple[int, ...]
    right_ids: tuple[int, ...]


class Parity(NamedTuple):
    """Whether texts and token ids are the same, and every stretch in which they differ."""

    same_text: bool
    tokens: tuple[int, int]
    stretches: tuple[TokenDifference, ...]

    @property
    def holds(self) -> bool:
        return self.same_text and not self.stretches


def compare_tokens(left: Tokenized, right: Tokenized) -> Parity:
    """What differs between two tokenizations of one conversation."""
    matcher = SequenceMatcher(None, left.ids, right.ids, autojunk=False)
    stretches = [
        TokenDifference(a, left.pieces[a:b], right.pieces[c:d], left.ids[a:b], right.ids[c:d])
        for kind, a, b, c, d in matcher.get_opcodes()
        if kind != "equal"
    ]
    return Parity(left.text == right.text, (len(left.ids), len(right.ids)), tuple(stretches))
