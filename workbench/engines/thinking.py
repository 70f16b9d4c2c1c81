"""Reasoning blocks in a stream: text at the very beginning, between a pair of tags, is told apart from the
answer.

Knows nothing of tokens. Tags in the middle of an answer are left as they are.
"""

from __future__ import annotations

from typing import NamedTuple

TAGS = (
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("<thinking>", "</thinking>"),
    ("<reasoning>", "</reasoning>"),
)
"""Opening and closing tags that models use."""


class Piece(NamedTuple):
    """Text, and whether it belongs to the reasoning."""

    text: str
    thinking: bool


def find_open_tag(prompt: str) -> str | None:
    """The closing tag to wait for, where a prompt ends with an opening one, as some templates make it end."""
    end = prompt.rstrip()
    return next((closing for opening, closing in TAGS if end.endswith(opening)), None)


class ThinkingFilter:
    """Splits a stream. closing: the tag to wait for, when the reasoning was already opened by the prompt."""

    def __init__(self, closing: str | None = None) -> None:
        self._closing = closing
        self._held = ""
        self._decided = closing is not None
        self._skip_space = closing is not None

    def feed(self, text: str) -> list[Piece]:
        """The pieces that are certain now; a possible tag is held back until it is known."""
        self._held += text
        pieces: list[Piece] = []
        if not self._decided:
            self._decide()
        if self._decided and self._closing is not None:
            pieces += self._think()
        if self._decided and self._closing is None:
            pieces += self._answer()
        return [piece for piece in pieces if piece.text]

    def flush(self) -> list[Piece]:
        """What was held back, at the end of the stream."""
        held, self._held = self._held, ""
        return [Piece(held, self._closing is not None)] if held and not self._skip_space else []

    def _decide(self) -> None:
        start = self._held.lstrip()
        for opening, closing in TAGS:
            if start.startswith(opening):
                self._closing, self._held = closing, start[len(opening) :]
                self._decided = self._skip_space = True
                return
        if start and not any(opening.startswith(start) for opening, _ in TAGS):
            self._decided = True

    def _think(self) -> list[Piece]:
        assert self._closing is not None
        self._trim()
        thought, tag, rest = self._held.partition(self._closing)
        if tag:
            self._closing, self._held, self._skip_space = None, rest, True
            return [Piece(thought, True)]
        kept = next(
            (length for length in range(len(self._closing) - 1, 0, -1) if thought.endswith(self._closing[:length])),
            0,
        )
        self._held = thought[len(thought) - kept :]
        return [Piece(thought[: len(thought) - kept], True)]

    def _answer(self) -> list[Piece]:
        self._trim()
        text, self._held = self._held, ""
        return [Piece(text, False)]

    def _trim(self) -> None:
        """Drop the white space after a tag: it separates, and belongs to neither side."""
        if self._skip_space:
            self._held = self._held.lstrip()
            self._skip_space = not self._held
