"""Encoding: a row as token ids, and which of them are learned.

The prompt's ids are those that inference reads, made by the same code (engines/prompts.py); behind them comes the
answer as the chat template closes it, with a token that ends it. That is what TRL makes of the same conversation, save
for templates that write an answered prompt otherwise than an open one, where TRL trains on a context that is never
asked, and for those that close an answer with nothing, whose end TRL leaves out.
"""

from __future__ import annotations

from typing import NamedTuple

from workbench.engines.engine import Request
from workbench.engines.prompts import Prompts
from workbench.training.rows import Row

UNLEARNED = -100
"""The label of a token that is not learned."""


class Encoded(NamedTuple):
    """A row as the model reads it: `ids[:prompt]` is what is asked, `ids[end]` ends the answer.

    parted: the template, or the tokenizer at the seam, writes an answered prompt otherwise than an open one. stripped:
    white space around the answer is left out, as the template does. own_end: the end is the tokenizer's, as the
    template has none.
    """

    ids: tuple[int, ...]
    prompt: int
    end: int
    parted: bool = False
    stripped: bool = False
    own_end: bool = False

    def labels(self, completion_only: bool = True) -> list[int]:
        """What is to be learned at each place."""
        if not completion_only:
            return list(self.ids)
        return [UNLEARNED] * self.prompt + list(self.ids[self.prompt :])


class Encoder:
    """The way from rows to token ids for one model. kwargs: variables of its chat template, as in a Request."""

    def __init__(self, prompts: Prompts, kwargs: str = "") -> None:
        self.prompts = prompts
        self._kwargs = kwargs

    def ask(self, row: Row) -> Request:
        """What inference asks for a row."""
        return Request(0, row.messages, mode=row.mode, chat_template_kwargs=self._kwargs)

    def encode(self, row: Row) -> Encoded:
        """Raises TemplateError, and ModelError for a model that has no end to learn."""
        return self.join(row, row.answer)

    def join(self, row: Row, answer: str) -> Encoded:
        """The row with this answer instead of its own."""
        made = self.prompts.finish(self.ask(row), answer)
        return Encoded(tuple(made.ids), made.asked, made.end, made.parts, made.stripped, made.own_end)
