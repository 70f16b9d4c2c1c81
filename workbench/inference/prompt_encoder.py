"""Requests to token ids: the model's chat template applied to messages, or their text as it is."""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from workbench.errors import TemplateError
from workbench.inference.adapter_extras import find_extras
from workbench.inference.chunk_builder import ChunkBuilder
from workbench.inference.picture_layout import digest_pictures, mark_pictures, put_marks, render_layout, without_marks
from workbench.inference.picture_tokens import PictureEncoder, PictureSpan
from workbench.inference.reasoning import AnswerFormat, read_format
from workbench.inference.segment_tokens import SegmentTokenizer
from workbench.inference.thinking import ThinkingFilter
from workbench.inference.thinking_switch import (
    check_completion,
    drop_past_thinking,
    find_names,
    plan_thinking,
)
from workbench.inference.types import GenerateRequest, ShownPicture, Tokenized
from workbench.inference.vocabulary import Vocabulary
from workbench.prompting.chat_template import (
    CHATML,
    PLAIN,
    PLAIN_STOP,
    ChatTemplate,
    ChatText,
    TextSegment,
)
from workbench.prompting.prompt import Message
from workbench.prompting.prompt_parts import shared_length
from workbench.prompting.tool_text import NO_TOOLS_NOTE, declare_tools, describe_tools

_REMEMBERED = 256
_REMEMBERED_PICTURED = 16
_MOST_TEMPLATES = 16
_LEAD = 64
"""Characters by which a prompt's text is found in that of its tokens."""

_DROPPED = "Reasoning in earlier answers ({}) is left out, as chat templates do."
_ENDLESS = "The model has no end token: its answers end at max_tokens or at a stop text."


class _Encoded(NamedTuple):
    """A request as the model reads it. notes: what of its messages did not arrive, or was moved. starts: where the
    contents of its messages begin in the text. spans: of its pictures' embeddings; shown: its pictures."""

    text: str
    ids: list[int]
    notes: tuple[str, ...]
    starts: tuple[int, ...]
    spans: tuple[PictureSpan, ...] = ()
    shown: tuple[ShownPicture, ...] = ()


class _Piece(NamedTuple):
    """What a token spells. characters: how many begin within it."""

    bytes: bytes
    text: str
    characters: int


class PromptEncoder:
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
        pictures: PictureEncoder | None = None,
    ) -> None:
        """pictures: None for a model that sees none."""
        self._vocabulary = vocabulary
        self._pictures = pictures
        self._pictured: deque[bytes] = deque()
        self._known: dict[bytes, _Encoded] = {}
        self._pieces: dict[int, _Piece] = {}
        self._templates: dict[str, ChatTemplate] = {}
        chatml = vocabulary.has("<|im_start|>", "<|im_end|>")
        self._source = template or (CHATML if chatml else PLAIN)
        self._tokenizer = SegmentTokenizer(vocabulary, pictures, completes_template or not template)
        self._stops = (PLAIN_STOP,) if self._source == PLAIN else ()
        self._names = find_names(self._source)
        self._form = self._read_format(response_schema)
        vocabulary.adopt(self._form)

    def read(self, request: GenerateRequest) -> tuple[str, list[int]]:
        """The final text and its token ids; remembered, since a prompt is counted, shown and run.

        Raises TemplateError.
        """
        found = self._read(request)
        return found.text, found.ids

    def notes(self, request: GenerateRequest) -> tuple[str, ...]:
        """What of a request's messages the chat template drops, changes or moves, one sentence each."""
        return self._read(request).notes

    def _read(self, request: GenerateRequest) -> _Encoded:
        sampling = request.sampling
        thinking = (sampling.thinking, sampling.reasoning_effort, sampling.thinking_budget)
        key = msgspec.msgpack.encode(
            (request.mode, digest_pictures(request.messages), request.chat_template_kwargs, request.tools, thinking)
        )
        if key not in self._known:
            while len(self._known) >= _REMEMBERED:
                del self._known[next(iter(self._known))]
            layout = self._render_chat(request)
            marks = mark_pictures(request.messages)
            tokens = self._tokenizer.tokenize(layout.segments, request.mode, marks)
            starts = self._find_starts(request, layout)
            if marks:
                starts = tuple(len(without_marks(layout.text[:start], marks)) for start in starts)
            text = without_marks(layout.text, marks)
            if marks:
                self._forget_pictures(key)
            self._known[key] = _Encoded(text, tokens.ids, layout.notes, starts, tokens.spans, tokens.show(marks))
        return self._known[key]

    def _forget_pictures(self, key: bytes) -> None:
        """Make room for a prompt with pictures: each holds their prepared pixels."""
        self._pictured.append(key)
        if len(self._pictured) > _REMEMBERED_PICTURED:
            self._known.pop(self._pictured.popleft(), None)

    def spans(self, request: GenerateRequest) -> tuple[PictureSpan, ...]:
        """Where the embeddings of pictures stand in a request's token ids."""
        return self._read(request).spans

    def read_answer(self, request: GenerateRequest, answer: str) -> list[int]:
        """Token ids of the final text with an answer behind it, which has no end token.

        The last piece of the prompt is read together with the answer, since that is how text is tokenised; where
        nothing of the prompt would be left as it is, and for an answer that spells control tokens, each is read by
        itself. Raises TemplateError.
        """
        _, prompt = self.read(request)
        control = self._vocabulary.control
        if request.mode == "chat" and control and control.search(answer):
            return prompt + self._vocabulary.continue_text(answer, special=False)
        segments = self._render_chat(request).segments
        last = segments[-1]
        answered = [*segments[:-1], TextSegment(last.text + answer, last.literal)]
        joined = self._tokenizer.tokenize(answered, request.mode, mark_pictures(request.messages)).ids
        if shared_length(prompt, joined):
            return joined
        return prompt + self._vocabulary.continue_text(answer, special=request.mode == "completion")

    def begin_answer(self, request: GenerateRequest, started: float) -> ChunkBuilder:
        """The empty answer to a request that was taken at `started`. Raises TemplateError."""
        read = self._read(request)
        notes = (*read.notes, *self._describe_model(request))
        if request.mode == "completion":
            return ChunkBuilder(request, read.ids, started, request.sampling.stop, None, notes)
        stops = request.sampling.stop + self._stops
        thinking = ThinkingFilter(self._form.find_open(read.text), self._form, self._vocabulary.framing)
        return ChunkBuilder(request, read.ids, started, stops, thinking, notes)

    def show(self, request: GenerateRequest) -> Tokenized:
        """The request as the model reads it, token by token. Raises TemplateError."""
        read = self._read(request)
        for token in set(read.ids) - self._pieces.keys():
            piece = self._vocabulary.token_to_bytes(token) if token >= 0 else b""
            self._pieces[token] = _Piece(piece, piece.decode("utf-8", "replace"), _count_characters(piece))
        found = [self._pieces[token] for token in read.ids]
        pieces = tuple(piece.text for piece in found)
        for one in read.shown:  # what frames a picture is no part of the text
            found[one.start : one.start + one.tokens] = [_Piece(b"", "", 0)] * one.tokens
        text = b"".join([piece.bytes for piece in found]).decode("utf-8", "replace")
        lead = max(0, text.find(read.text[:_LEAD]))  # what the tokenizer puts in front
        offsets = (0, *itertools.accumulate(piece.characters for piece in found))[:-1]
        starts = tuple(lead + start for start in read.starts)
        return Tokenized(text, tuple(read.ids), pieces, read.notes, offsets, starts, read.shown)

    def _find_starts(self, request: GenerateRequest, layout: ChatText) -> tuple[int, ...]:
        if request.mode == "completion":
            return (0, *itertools.accumulate(len(message.content) for message in request.messages))[:-1]
        if not request.messages:
            return ()
        messages, _ = drop_past_thinking(request.messages, self._form)
        messages = put_marks(messages, mark_pictures(request.messages))
        listed = self._add_tools(request, messages)
        starts = self._template(self._list_variables(request)).find_starts(listed, layout.text, layout.repair)
        return starts[len(listed) - len(messages) :]

    def _list_variables(self, request: GenerateRequest) -> str:
        """The variables of the chat template, those of thinking and the tools among them, as JSON."""
        own = dict(plan_thinking(request.sampling, self._names).variables)
        if request.tools:
            own |= {key: value for key, value in declare_tools(request.tools).items() if key in self._names}
        if not own:
            return request.chat_template_kwargs
        given = json.loads(request.chat_template_kwargs) if request.chat_template_kwargs else {}
        return json.dumps({**given, **own})

    @property
    def _takes_tools(self) -> bool:
        return not self._names.isdisjoint(declare_tools(()))

    def _add_tools(self, request: GenerateRequest, messages: Sequence[Message]) -> tuple[Message, ...]:
        """The messages, with the tools in the system message where the chat template takes none."""
        return tuple(messages) if self._takes_tools else describe_tools(messages, request.tools)

    def _render_chat(self, request: GenerateRequest) -> ChatText:
        if request.mode == "completion":
            check_completion(request.sampling, request.tools)
            return ChatText((TextSegment("".join(message.content for message in request.messages)),))
        if not request.messages:
            return ChatText(())
        plan, kwargs = plan_thinking(request.sampling, self._names), self._list_variables(request)
        messages, dropped = drop_past_thinking(request.messages, self._form)
        messages = self._add_tools(request, messages)
        marks = mark_pictures(request.messages)
        placeholder = self._pictures.placeholder if marks and self._pictures else ""
        layout = render_layout(self._template(kwargs), messages, self._vocabulary.control, marks, placeholder)
        if request.tools and not self._takes_tools:
            layout = layout._replace(notes=(*layout.notes, NO_TOOLS_NOTE))
        if dropped:
            layout = layout._replace(notes=(*layout.notes, _DROPPED.format(dropped)))
        if request.messages[-1].role == "assistant":  # it goes on with what is there
            return layout
        suffix = plan.suffix(layout.text, self._form)
        return (
            layout._replace(segments=tuple(join_segments([*layout.segments, TextSegment(suffix)])))
            if suffix
            else layout
        )

    def _describe_model(self, request: GenerateRequest) -> tuple[str, ...]:
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


def _count_characters(piece: bytes) -> int:
    """How many characters begin within a token's bytes."""
    return len(piece) if piece.isascii() else sum(byte & 0xC0 != 0x80 for byte in piece)


def join_segments(segments: Sequence[TextSegment]) -> list[TextSegment]:
    """The same with neighbours of one kind in one piece, since that is how text is tokenised."""
    joined: list[TextSegment] = []
    for segment in segments:
        if joined and joined[-1].literal == segment.literal:
            joined[-1] = TextSegment(joined[-1].text + segment.text, segment.literal)
        elif segment.text:
            joined.append(segment)
    return joined
