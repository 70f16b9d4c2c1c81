"""Requests to token ids: the model's chat template laid around messages, or their text as it is.

Knows nothing of rows, or of how tokens are chosen.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from workbench.engines.adapter_extras import find_extras
from workbench.engines.answer import Answer
from workbench.engines.engine import Request, Tokenized
from workbench.engines.reasoning import AnswerFormat, read_format
from workbench.engines.thinking import ThinkingFilter
from workbench.engines.vocabulary import Vocabulary
from workbench.errors import TemplateError
from workbench.prompting.chat import CHATML, PLAIN, PLAIN_STOP, ChatTemplate, Layout, Segment, render_segments
from workbench.prompting.prompt import Message

_REMEMBERED = 256
_MOST_TEMPLATES = 16
_ENDLESS = "The model has no end token: its answers end at max_tokens or at a stop text."


class _Read(NamedTuple):
    """A request as the model reads it. notes: what of its messages did not arrive, or was moved."""

    text: str
    ids: list[int]
    notes: tuple[str, ...]


class Prompts:
    """The way from a request to what the model reads.

    template: the chat template to use; None or empty where the model comes without one.
    response_schema: the tokenizer's, in transformers' form.
    completes_template: put the model's beginning-of-text token before a chat where the template leaves it out.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        template: str | None,
        completes_template: bool = True,
        response_schema: object = None,
    ) -> None:
        self._vocabulary = vocabulary
        self._known: dict[bytes, _Read] = {}
        self._templates: dict[str, ChatTemplate] = {}
        chatml = vocabulary.has("<|im_start|>", "<|im_end|>")
        self._source = template or (CHATML if chatml else PLAIN)
        self._completes_template = completes_template or not template
        self._stops = (PLAIN_STOP,) if self._source == PLAIN else ()
        self._form = self._read_format(response_schema)
        vocabulary.adopt(self._form)

    def read(self, request: Request) -> tuple[str, list[int]]:
        """The final text and its token ids; remembered, since a prompt is counted, shown and run.

        Raises TemplateError.
        """
        found = self._read(request)
        return found.text, found.ids

    def notes(self, request: Request) -> tuple[str, ...]:
        """What of a request's messages the chat template drops, changes or moves, one sentence each."""
        return self._read(request).notes

    def _read(self, request: Request) -> _Read:
        key = msgspec.msgpack.encode((request.mode, request.messages, request.chat_template_kwargs))
        if key not in self._known:
            while len(self._known) >= _REMEMBERED:
                del self._known[next(iter(self._known))]
            layout = self._lay_out(request)
            ids = self._complete(request, self._tokenize(layout.segments))
            self._known[key] = _Read(layout.text, ids, layout.notes)
        return self._known[key]

    def read_answer(self, request: Request, answer: str) -> list[int]:
        """Token ids of the final text with an answer behind it, which has no end token.

        The last piece of the prompt is read together with the answer, since that is how text is tokenised; where
        nothing of the prompt would be left as it is, and for an answer that spells control tokens, each is read by
        itself. Raises TemplateError.
        """
        _, prompt = self.read(request)
        control = self._vocabulary.control
        if request.mode == "chat" and control and control.search(answer):
            return prompt + self._vocabulary.continue_text(answer, special=False)
        segments = self._lay_out(request).segments
        last = segments[-1]
        joined = self._complete(request, self._tokenize([*segments[:-1], Segment(last.text + answer, last.literal)]))
        if shared_length(prompt, joined):
            return joined
        return prompt + self._vocabulary.continue_text(answer, special=request.mode == "completion")

    def close(self, messages: Sequence[Message], answer: str) -> tuple[Segment, ...]:
        """The final text of a conversation that ends with this answer, its turn finished. Raises TemplateError."""
        begun = messages[-1].content if messages and messages[-1].role == "assistant" else None
        whole = (
            (*messages, Message("assistant", answer))
            if begun is None
            else (*messages[:-1], Message("assistant", begun + answer))
        )
        return render_segments(self._template(""), whole, self._vocabulary.control, closed=True).segments

    def tokenize_closed(self, segments: Sequence[Segment]) -> list[int]:
        """The token ids of a finished conversation's text."""
        ids = self._tokenize(segments)
        return self._vocabulary.begin(ids) if self._completes_template else ids

    def begin_answer(self, request: Request, started: float) -> Answer:
        """The empty answer to a request that was taken at `started`. Raises TemplateError."""
        read = self._read(request)
        notes = (*read.notes, *self._describe_model(request))
        if request.mode == "completion":
            return Answer(request, read.ids, started, request.sampling.stop, None, notes)
        stops = request.sampling.stop + self._stops
        thinking = ThinkingFilter(self._form.find_open(read.text), self._form, self._vocabulary.framing)
        return Answer(request, read.ids, started, stops, thinking, notes)

    def show(self, request: Request) -> Tokenized:
        """The request as the model reads it, token by token. Raises TemplateError."""
        read = self._read(request)
        spelled = [self._vocabulary.spell(token) for token in read.ids]
        pieces = tuple(piece.decode("utf-8", "replace") for piece in spelled)
        return Tokenized(b"".join(spelled).decode("utf-8", "replace"), tuple(read.ids), pieces, read.notes)

    def _complete(self, request: Request, ids: list[int]) -> list[int]:
        begins = self._completes_template or request.mode == "completion"
        return self._vocabulary.begin(ids) if begins else ids

    def _lay_out(self, request: Request) -> Layout:
        if request.mode == "completion":
            return Layout((Segment("".join(message.content for message in request.messages)),))
        if not request.messages:
            return Layout(())
        return render_segments(self._template(request.chat_template_kwargs), request.messages, self._vocabulary.control)

    def _tokenize(self, segments: Sequence[Segment]) -> list[int]:
        ids: list[int] = []
        for segment in segments:
            tokenize = self._vocabulary.continue_text if ids else self._vocabulary.tokenize
            ids += tokenize(segment.text, not segment.literal)
        return ids

    def _describe_model(self, request: Request) -> tuple[str, ...]:
        """What a person has to know of what answers: that it never ends, or what of its adapters is not used."""
        adapters = (applied.adapter for applied in request.adapters)
        template = "" if request.mode == "completion" else self._source
        extras = find_extras(adapters, template, self._vocabulary) if template else ()
        return extras if self._vocabulary.has_end else (*extras, _ENDLESS)

    def _read_format(self, response_schema: object) -> AnswerFormat:
        """How the template frames answers; as models usually do where it is broken, which completion mode can bear."""
        try:
            return read_format(self._template(""), response_schema)
        except TemplateError:
            return AnswerFormat()

    def _template(self, kwargs: str) -> ChatTemplate:
        """Compiled when it is first needed: a broken one still leaves completion mode. kwargs: see Request."""
        if kwargs not in self._templates:
            while len(self._templates) >= _MOST_TEMPLATES:
                del self._templates[next(iter(self._templates))]
            variables = json.loads(kwargs) if kwargs else {}
            self._templates[kwargs] = ChatTemplate(self._source, self._vocabulary.special_tokens, variables)
        return self._templates[kwargs]


def shared_length(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two lists begin with in common."""
    low, high = 0, min(len(first), len(second))
    if first[:high] == second[:high]:
        return high
    while high - low > 1:  # they are equal up to low, and not up to high
        middle = (low + high) // 2
        low, high = (middle, high) if first[low:middle] == second[low:middle] else (low, middle)
    return low
