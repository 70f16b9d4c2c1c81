"""Encoding: a row as token ids, and which of them are learned.

The prompt's ids are those that inference reads, made by the same code (engines/prompts.py); behind them comes the
answer as the chat template closes it. That is what TRL makes of the same conversation, save for templates that write an
answered prompt otherwise than an open one: there TRL trains on a context that is never asked, and this does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from workbench.engines.engine import Request
from workbench.engines.prompts import Prompts, shared_length
from workbench.engines.vocabulary import Vocabulary
from workbench.errors import TrainingError
from workbench.prompting.chat import Segment
from workbench.prompting.prompt import Message
from workbench.training.rows import Row

UNLEARNED = -100
"""The label of a token that is not learned."""


class Encoded(NamedTuple):
    """A row as the model reads it: `ids[:prompt]` is what is asked. parted: the template, or the tokenizer at the seam,
    writes an answered prompt otherwise than an open one."""

    ids: tuple[int, ...]
    prompt: int
    parted: bool = False

    def labels(self, completion_only: bool = True) -> list[int]:
        """What is to be learned at each place."""
        if not completion_only:
            return list(self.ids)
        return [UNLEARNED] * self.prompt + list(self.ids[self.prompt :])


class Encoder:
    """The way from rows to token ids for one model."""

    def __init__(self, vocabulary: Vocabulary, prompts: Prompts) -> None:
        self._vocabulary = vocabulary
        self.prompts = prompts

    def encode(self, row: Row) -> Encoded:
        """Raises TemplateError."""
        return self.join(row, row.answer)

    def join(self, row: Row, answer: str) -> Encoded:
        """The row with this answer instead of its own."""
        request = Request(0, row.messages, mode=row.mode)
        _, asked = self.prompts.read(request)
        if row.mode == "completion":
            whole, closing = self._complete(request, answer)
        else:
            whole, closing = self._close(row.messages, answer)
        if shared_length(asked, whole) == len(asked) < len(whole):
            return Encoded(tuple(whole), len(asked))
        learned = [*self._vocabulary.continue_text(answer, special=False), *closing]
        return Encoded((*asked, *learned), len(asked), parted=True)

    def _complete(self, request: Request, answer: str) -> tuple[list[int], list[int]]:
        end = self._vocabulary.eos
        if end is None:
            raise TrainingError(
                "This model has no token that ends a text, so an answer without a chat template would never end.",
                "Use a prompt in chat mode, or a model whose tokenizer names an eos_token.",
            )
        return [*self.prompts.read_answer(request, answer), end], [end]

    def _close(self, messages: Sequence[Message], answer: str) -> tuple[list[int], list[int]]:
        """The finished conversation, and the tokens that end the last turn."""
        segments = self.prompts.close(messages, answer)
        closing = _cut(segments, answer)
        return self.prompts.tokenize_closed(segments), self._vocabulary.continue_text(closing, special=True)


def _cut(segments: Sequence[Segment], answer: str) -> str:
    """What the template writes behind the answer."""
    text = "".join(segment.text for segment in segments)
    stripped = answer.strip()
    found = text.rfind(answer) if answer in text else text.rfind(stripped)
    length = len(answer) if answer in text else len(stripped)
    return text[found + length :] if found >= 0 else ""
