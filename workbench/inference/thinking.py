"""Reasoning blocks in a stream: text at the very beginning, between a pair of tags, is told apart from the answer.

Tags in the middle of an answer are left as they are.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from workbench.inference.reasoning import AnswerFormat

PLAIN_FORMAT = AnswerFormat()


class TextPart(NamedTuple):
    """Text, and whether it belongs to the reasoning."""

    text: str
    thinking: bool


class ThinkingFilter:
    """Splits a stream. closing: the tag to wait for, when the reasoning was already opened by the prompt.

    controls: the text of every control token that frames; where they frame nothing, they are left out of the answer.
    """

    def __init__(
        self, closing: str | None = None, form: AnswerFormat = PLAIN_FORMAT, controls: re.Pattern[str] | None = None
    ) -> None:
        answer = form.answer_opening
        self._openings: list[tuple[str, str | None]] = [*form.tags, *([(answer, None)] if answer else [])]
        self._controls = controls
        self._closing = closing
        self._end = form.reasoning_end
        self._held = ""
        self._decided = closing is not None
        self._skip_space = closing is not None

    @property
    def open(self) -> bool:
        """Whether reasoning has begun and not ended."""
        return self._decided and self._closing is not None

    @property
    def closing(self) -> str:
        """What ends open reasoning, as the chat template writes it."""
        closing = self._closing or ""
        return self._end if closing in self._end else closing

    @property
    def framing(self) -> bool:
        """Whether a tag may still come: before anything is decided, and inside reasoning."""
        return not self._decided or self._closing is not None

    def may_open(self, text: str, control: bool) -> bool:
        """Whether a frame begins or goes on with this text, were it to come next. control: it is a control token, with
        which a frame of several tokens may begin."""
        start = (self._held + text).lstrip()
        begun = control or bool(self._held.strip())
        opens = (start.startswith(opening) or (begun and opening.startswith(start)) for opening, _ in self._openings)
        return not self._decided and bool(start) and any(opens)

    def close(self) -> None:
        """Take what comes next for the answer, though no closing tag came."""
        self._decided, self._closing, self._skip_space = True, None, True

    def feed(self, text: str) -> list[TextPart]:
        """The pieces that are certain now; a possible tag is held back until it is known."""
        self._held += text
        pieces: list[TextPart] = []
        if not self._decided:
            self._decide()
        if self._decided and self._closing is not None:
            pieces += self._think()
        if self._decided and self._closing is None:
            pieces += self._answer()
        return [piece for piece in pieces if piece.text]

    def flush(self) -> list[TextPart]:
        """What was held back, at the end of the stream."""
        held, self._held = self._held, ""
        held = held if self._decided else self._drop_controls(held)
        return [TextPart(held, self._closing is not None)] if held and not self._skip_space else []

    def _decide(self) -> None:
        start = self._held.lstrip()
        for opening, closing in self._openings:
            if start.startswith(opening):
                self._closing, self._held = closing, start[len(opening) :]
                self._decided = self._skip_space = True
                return
        if start and not any(opening.startswith(start) for opening, _ in self._openings):
            self._decided = True
            self._held = self._drop_controls(self._held)

    def _drop_controls(self, text: str) -> str:
        return self._controls.sub("", text) if self._controls else text

    def _think(self) -> list[TextPart]:
        assert self._closing is not None
        self._trim()
        thought, tag, rest = self._held.partition(self._closing)
        if tag:
            self._closing, self._held, self._skip_space = None, rest, True
            return [TextPart(thought, True)]
        kept = next(
            (length for length in range(len(self._closing) - 1, 0, -1) if thought.endswith(self._closing[:length])),
            0,
        )
        self._held = thought[len(thought) - kept :]
        return [TextPart(thought[: len(thought) - kept], True)]

    def _answer(self) -> list[TextPart]:
        self._trim()
        text, self._held = self._held, ""
        return [TextPart(text, False)]

    def _trim(self) -> None:
        """Drop the white space after a tag: it separates, and belongs to neither side."""
        if self._skip_space:
            self._held = self._held.lstrip()
            self._skip_space = not self._held
