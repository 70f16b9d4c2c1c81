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
from workbench.engines.answer_frame import AnswerFrame, read_frame
from workbench.engines.engine import Request, Tokenized
from workbench.engines.reasoning import AnswerFormat, read_format
from workbench.engines.thinking import ThinkingFilter
from workbench.engines.vocabulary import Vocabulary
from workbench.errors import ModelError, TemplateError
from workbench.prompting.chat import CHATML, PLAIN, PLAIN_STOP, ChatTemplate, Layout, Segment, render_segments
from workbench.prompting.prompt import Role

_REMEMBERED = 256
_MOST_TEMPLATES = 16
_ENDLESS = "The model has no end token: its answers end at max_tokens or at a stop text."


class _Read(NamedTuple):
    """A request as the model reads it. notes: what of its messages did not arrive, or was moved."""

    text: str
    ids: list[int]
    notes: tuple[str, ...]


class Finished(NamedTuple):
    """A conversation with its answer as token ids: `ids[:asked]` is what is asked, `ids[end]` ends the answer.

    parts: an answered prompt is written otherwise than an open one, by the template or by the tokenizer at the seam.
    stripped: white space around the answer was left out, or a reasoning tag that the prompt has. own_end: the end is
    the tokenizer's, as the template closes an answer with none.
    """

    ids: list[int]
    asked: int
    end: int
    parts: bool = False
    stripped: bool = False
    own_end: bool = False


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
        self._frames: dict[tuple[str, tuple[Role, ...]], AnswerFrame] = {}
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

    def finish(self, request: Request, answer: str) -> Finished:
        """The final text with an answer behind it, its turn finished as the chat template does it.

        Where no token of the template's closing ends an answer, the tokenizer's own end stands behind it. Raises
        TemplateError, and ModelError for a model that has no end to learn.
        """
        _, asked = self.read(request)
        chat = request.mode == "chat"
        frame = self.read_frame(request) if chat else AnswerFrame()
        opening, text = frame.lay(answer)
        closing, ends = self._cut_closing(frame.closing)
        own_end = [] if ends else [self._find_own_end(chat)]
        learned = [Segment(opening), *(self._split(text) if chat else (Segment(text),)), Segment(closing)]
        layout = self._lay_out(request).segments
        whole = self._complete(request, self._tokenize(_join([*layout, *learned])))
        parts = shared_length(asked, whole) < len(asked) or len(whole) <= len(asked)
        if parts:
            pieces = (
                self._vocabulary.continue_text(piece.text, not piece.literal) for piece in _join(learned) if piece.text
            )
            whole = [*asked, *(token for piece in pieces for token in piece)]
        ids = [*whole, *own_end]
        end = self._find_end(ids, ends or 1)
        return Finished(ids, len(asked), end, frame.parts or (parts and bool(text)), text != answer, not ends)

    def read_frame(self, request: Request) -> AnswerFrame:
        """What stands around an answer to a request in chat mode. Raises TemplateError."""
        roles = tuple(message.role for message in request.messages)
        key = (request.chat_template_kwargs, roles)
        if key not in self._frames:
            while len(self._frames) >= _REMEMBERED:
                del self._frames[next(iter(self._frames))]
            template = self._template(request.chat_template_kwargs)
            self._frames[key] = read_frame(template, roles, self._form, self._vocabulary.control)
        return self._frames[key]

    def _cut_closing(self, closing: str) -> tuple[str, int]:
        """What is learned of a template's closing, up to its last token that ends an answer and the white space behind
        it, and how many such tokens it has; nothing where none of it ends one."""
        control = self._vocabulary.control
        found = [match for match in control.finditer(closing) if self._ends(match[0])] if control else []
        if not found:
            return "", 0
        behind = closing[found[-1].end() :]
        return closing[: found[-1].end()] + behind[: len(behind) - len(behind.lstrip())], len(found)

    def _ends(self, control: str) -> bool:
        """Whether the text of a control token is one that ends an answer."""
        ids = self._vocabulary.continue_text(control, special=True)
        return len(ids) == 1 and self._vocabulary.ends(ids[0])

    def _find_own_end(self, chat: bool) -> int:
        end = self._vocabulary.eos
        if end is None:
            why = "the chat template closes an answer with none" if chat else "without a chat template there is none"
            raise ModelError(
                f"This model has no token that ends an answer: its tokenizer names no eos_token, and {why}."
                " Its answers would never end.",
                "Name an eos_token in the model's tokenizer_config.json, or take another base.",
            )
        return end

    def _find_end(self, ids: Sequence[int], ends: int) -> int:
        """The place of the first of the last tokens that end an answer."""
        places = [at for at, token in enumerate(ids) if self._vocabulary.ends(token)]
        return places[-min(ends, len(places))] if places else len(ids) - 1

    def _split(self, text: str) -> list[Segment]:
        """A text of a person's, the control tokens spelled in it apart."""
        control = self._vocabulary.control
        if control is None:
            return [Segment(text)]
        pieces: list[Segment] = []
        at = 0
        for match in control.finditer(text):
            pieces += [Segment(text[at : match.start()]), Segment(match[0], True)]
            at = match.end()
        return [*pieces, Segment(text[at:])]

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


def _join(segments: Sequence[Segment]) -> list[Segment]:
    """The same with neighbours of one kind in one piece, since that is how text is tokenised."""
    joined: list[Segment] = []
    for segment in segments:
        if joined and joined[-1].literal == segment.literal:
            joined[-1] = Segment(joined[-1].text + segment.text, segment.literal)
        elif segment.text:
            joined.append(segment)
    return joined


def shared_length(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two lists begin with in common."""
    low, high = 0, min(len(first), len(second))
    if first[:high] == second[:high]:
        return high
    while high - low > 1:  # they are equal up to low, and not up to high
        middle = (low + high) // 2
        low, high = (middle, high) if first[low:middle] == second[low:middle] else (low, middle)
    return low
