"""Vocabulary: text to token ids and back, as far as prompts need it.

Knows nothing of where a vocabulary comes from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Protocol

from workbench.engines.thinking import TAGS

THINKING = frozenset(tag for pair in TAGS for tag in pair)
"""Texts that frame reasoning: they are read and written as text, also where they are control tokens."""


class Vocabulary(Protocol):
    """A model's vocabulary. control: finds the text of every control token; None where there is none."""

    bos: int | None
    eos: int | None
    control: re.Pattern[str] | None

    def tokenize(self, text: str, special: bool) -> list[int]:
        """Token ids, without a beginning-of-text token. special: control tokens spelled out become themselves."""
        ...

    def continue_text(self, text: str, special: bool) -> list[int]:
        """Token ids of a text that follows other text."""
        ...

    def begin(self, ids: list[int]) -> list[int]:
        """The ids with one beginning-of-text token in front, where the model wants one; none for no ids."""
        ...

    def text(self, token: int | None) -> str:
        """A token spelled out as text; empty for None."""
        ...

    def has(self, *texts: str) -> bool:
        """Whether each of the texts is a control token."""
        ...


def match_any(texts: Iterable[str]) -> re.Pattern[str] | None:
    """A pattern that finds any of the texts, longest first; None when there are none."""
    longest_first = sorted(set(texts), key=lambda text: (-len(text), text))
    return re.compile("|".join(map(re.escape, longest_first))) if longest_first else None


def cut_added_space(ids: list[int], spell: Callable[[int], bytes]) -> list[int] | None:
    """The token ids of a text, given those of a line feed and the text.

    The line feed takes the space that some vocabularies put in front of any text, and both are cut off. None
    where the tokens do not allow it.
    """
    for cut in range(1, min(4, len(ids)) + 1):
        if b"".join(map(spell, ids[:cut])) == b" \n":
            return ids[cut:]
    return None
