"""Two texts compared word by word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import NamedTuple

_WORDS = re.compile(r"\s+|[^\W_]+|[^\s\w]|_")


class WordChange(NamedTuple):
    """A stretch of both texts. first, second: what each has there; the same where nothing changed."""

    first: str
    second: str

    @property
    def equal(self) -> bool:
        return self.first == self.second


def diff_words(first: str, second: str) -> Iterator[WordChange]:
    """The stretches that both texts are made of, in order."""
    words = _WORDS.findall(first), _WORDS.findall(second)
    for _, start, end, other_start, other_end in SequenceMatcher(None, *words, autojunk=False).get_opcodes():
        yield WordChange("".join(words[0][start:end]), "".join(words[1][other_start:other_end]))
