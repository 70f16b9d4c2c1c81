"""A model's vocabulary: text to token ids, token ids to bytes, and which tokens mean something."""

from __future__ import annotations

import functools
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping

from workbench.inference.reasoning import TAGS, AnswerFormat

THINKING = frozenset(tag for pair in TAGS for tag in pair)
"""Texts that frame reasoning: they are read and written as text, also where they are control tokens."""


class Vocabulary(ABC):
    """A model's vocabulary. control: finds the text of every control token; None where there is none.

    controls: token id -> text. adds_bos: a text is to begin with the beginning-of-text token. special_tokens: names
    that chat templates know, such as eos_token -> their text; those that there are.
    """

    def __init__(
        self,
        size: int,
        bos: int | None,
        eos: int | None,
        controls: dict[int, str],
        adds_bos: bool,
        special_tokens: Mapping[str, str] | None = None,
    ) -> None:
        self.size = size
        self.bos = bos
        self.eos = eos
        self.control = match_any(text for text in controls.values() if text and text not in THINKING)
        self._controls = controls
        self.special_tokens = special_tokens or {}
        self._adds_bos = adds_bos
        self._adds_space = b"".join(map(self.token_to_bytes, self.tokenize("a", special=False))) == b" a"
        self._pieces: dict[int, bytes] = {}
        self._turn_ends: frozenset[int] = frozenset()
        self._framing: frozenset[int] = frozenset()
        self.framing: re.Pattern[str] | None = None

    @abstractmethod
    def tokenize(self, text: str, special: bool) -> list[int]:
        """Token ids, without a beginning-of-text token. special: control tokens spelled out become themselves."""

    @abstractmethod
    def token_to_bytes(self, token: int) -> bytes:
        """A token's bytes, control tokens spelled out; none for an id without a token."""

    @abstractmethod
    def ends(self, token: int) -> bool:
        """Whether the token ends an answer."""

    @property
    def has_end(self) -> bool:
        """Whether any token ends an answer."""
        return self.eos is not None or bool(self._turn_ends)

    def adopt(self, form: AnswerFormat) -> None:
        """Go by a chat template's frames: the control token behind an answer ends it, and those around reasoning are
        spelled out where they frame something."""
        found = self.control.search(form.turn_end) if self.control else None
        self._turn_ends = frozenset(token for token, text in self._controls.items() if found and text == found[0])
        framing = {token: text for token, text in self._controls.items() if any(text in one for one in form.texts)}
        self._framing = frozenset(token for token, text in framing.items() if text)
        self.framing = match_any(text for text in framing.values() if text and text not in THINKING)

    def frames(self, token: int) -> bool:
        """Whether a control token is part of what stands around reasoning."""
        return token in self._framing

    def control_text(self, token: int) -> str:
        """The text of a control token that an answer does not show; empty for any other token."""
        text = self._controls.get(token, "")
        return "" if text in THINKING else text

    def framed_piece(self, token: int) -> bytes:
        """As `piece`, with the control tokens that frame reasoning spelled out."""
        return self.token_to_bytes(token) if token in self._framing else self.piece(token)

    def continue_text(self, text: str, special: bool) -> list[int]:
        """Token ids of a text that follows other text: without the space that some vocabularies put in front."""
        if self._adds_space:
            found = cut_added_space(self.tokenize("\n" + text, special), self.token_to_bytes)
            if found is not None:
                return found
        return self.tokenize(text, special)

    def begin(self, ids: list[int]) -> list[int]:
        """The ids with one beginning-of-text token in front, where the model wants one; none for no ids."""
        if not ids or not self._adds_bos or self.bos is None or ids[0] == self.bos:
            return ids
        return [self.bos, *ids]

    def piece(self, token: int) -> bytes:
        """A token's bytes as part of an answer: control tokens are empty, except those that frame reasoning."""
        if token not in self._pieces:
            text = self._controls.get(token)
            hidden = text is not None and text not in THINKING
            self._pieces[token] = b"" if hidden else self.token_to_bytes(token)
        return self._pieces[token]

    def text(self, token: int | None) -> str:
        """A token spelled out as text; empty for None."""
        return "" if token is None else self.token_to_bytes(token).decode("utf-8", "replace")

    @functools.cached_property
    def end_tokens(self) -> frozenset[int]:
        """The tokens that end an answer, once the chat template has been adopted."""
        return frozenset(token for token in range(self.size) if self.ends(token))

    def is_control(self, token: int) -> bool:
        """Whether a token is a control token, reasoning tags among them."""
        return token in self._controls

    def has(self, *texts: str) -> bool:
        """Whether each of the texts is a control token."""
        return set(texts) <= set(self._controls.values())


def match_any(texts: Iterable[str]) -> re.Pattern[str] | None:
    """A pattern that finds any of the texts, longest first; None when there are none."""
    longest_first = sorted(set(texts), key=lambda text: (-len(text), text))
    return re.compile("|".join(map(re.escape, longest_first))) if longest_first else None


def cut_added_space(ids: list[int], token_to_bytes: Callable[[int], bytes]) -> list[int] | None:
    """The token ids of a text, given those of a line feed and the text.

    The line feed takes the space that some vocabularies put in front of any text, and both are cut off. None
    where the tokens do not allow it.
    """
    for cut in range(1, min(4, len(ids)) + 1):
        if b"".join(map(token_to_bytes, ids[:cut])) == b" \n":
            return ids[cut:]
    return None
