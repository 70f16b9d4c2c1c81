"""Answered prompts to token ids, for training: what stands around an answer and ends it, by the chat template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from workbench.errors import ModelError
from workbench.inference.answer_frame import AnswerFrame, find_parting, read_frame
from workbench.inference.prompt_encoder import PromptEncoder, join_segments
from workbench.inference.thinking_switch import drop_past_thinking
from workbench.inference.types import GenerateRequest
from workbench.prompting.chat_repairs import write_calls
from workbench.prompting.chat_template import ChatText, TextSegment, render_segments
from workbench.prompting.prompt import Message
from workbench.prompting.prompt_parts import shared_length
from workbench.prompting.tools import ToolCall

_REMEMBERED = 256


class EncodedConversation(NamedTuple):
    """A conversation with its answer as token ids: `ids[:asked]` is what is asked, `ids[end]` ends the answer.

    parts: an answered prompt is written otherwise than an open one, by the template or by the tokenizer at the seam.
    stripped: white space around the answer was left out, or a reasoning tag that the prompt has. own_end: the end is
    the tokenizer's, as the template closes an answer with none. written: calls of tools are text in the form of Hermes,
    as the template takes none.
    """

    ids: list[int]
    asked: int
    end: int
    parts: bool = False
    stripped: bool = False
    own_end: bool = False
    written: bool = False


class _Learned(NamedTuple):
    """What stands behind a prompt. ends: how many tokens end the answer in it."""

    segments: list[TextSegment]
    ends: int
    parts: bool = False
    stripped: bool = False


class AnswerEncoder(PromptEncoder):
    """A PromptEncoder that also writes answers the way the chat template does."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._frames: dict[object, AnswerFrame] = {}
        self._rendered: tuple[GenerateRequest, ChatText] | None = None

    def finish(self, request: GenerateRequest, answer: str, calls: Sequence[ToolCall] = ()) -> EncodedConversation:
        """The final text with an answer behind it, its turn finished as the chat template does it.

        Where no token of the template's closing ends an answer, the tokenizer's own end stands behind it. calls: of
        tools, which the answer ends with. Raises TemplateError, and ModelError for a model that has no end to learn.
        """
        if not calls:
            return self._encode(request, self._frame_answer(request, answer))
        message = Message("assistant", answer, tuple(calls))
        closed = self._render_answered(request, message)
        if closed.repair.calls == "written" or any("tool calls" in note for note in closed.notes):
            text = write_calls([message])[0].content
            return self._encode(request, self._frame_answer(request, text))._replace(written=True)
        return self._encode(request, self._cut_answer(request, closed))

    def _render_chat(self, request: GenerateRequest) -> ChatText:
        """The request's text; that of the last one is kept, since an answer needs it several times."""
        if self._rendered is None or self._rendered[0] is not request:
            self._rendered = request, super()._render_chat(request)
        return self._rendered[1]

    def _encode(self, request: GenerateRequest, learned: _Learned) -> EncodedConversation:
        _, asked = self.read(request)
        own_end = [] if learned.ends else [self._find_own_end(request.mode == "chat")]
        layout = self._render_chat(request).segments
        whole = self._tokenizer.tokenize(join_segments([*layout, *learned.segments]), request.mode).ids
        parts = shared_length(asked, whole) < len(asked) or len(whole) <= len(asked)
        if parts:
            joined = join_segments(learned.segments)
            pieces = (self._vocabulary.continue_text(piece.text, not piece.literal) for piece in joined if piece.text)
            whole = [*asked, *(token for piece in pieces for token in piece)]
        ids = [*whole, *own_end]
        end = self._find_end(ids, learned.ends or 1)
        spoken = any(segment.text for segment in learned.segments)
        return EncodedConversation(
            ids,
            len(asked),
            end,
            learned.parts or (parts and spoken),
            learned.stripped,
            not learned.ends,
        )

    def _frame_answer(self, request: GenerateRequest, answer: str) -> _Learned:
        """An answer that is text, between what the template writes around one."""
        chat = request.mode == "chat"
        frame = self.read_frame(request) if chat else AnswerFrame()
        opening, text = frame.complete(answer)
        closing, ends = self._cut_closing(frame.closing)
        body = self._split(text) if chat else [TextSegment(text)]
        return _Learned([TextSegment(opening), *body, TextSegment(closing)], ends, frame.parts, text != answer)

    def _cut_answer(self, request: GenerateRequest, closed: ChatText) -> _Learned:
        """What the template itself wrote behind the prompt for an answer with calls."""
        opened = self._render_chat(request).text
        parts = not closed.text.startswith(opened)
        start = find_parting(opened, closed.text) if parts else len(opened)
        segments = _cut(closed.segments, start)
        frame = self.read_frame(request)
        if parts and frame.open:  # the prompt begins reasoning that the answered one does not have
            begun = "".join(segment.text for segment in segments)
            segments = segments if begun.startswith(frame.opening) else [TextSegment(frame.opening), *segments]
        last = next((at for at in range(len(segments) - 1, -1, -1) if not segments[at].literal), None)
        closing, ends = self._cut_closing(segments[last].text) if last is not None else ("", 0)
        if last is not None and ends:
            segments = [*segments[:last], TextSegment(closing)]
        return _Learned(segments, min(ends, 1), parts)

    def _render_answered(self, request: GenerateRequest, answer: Message) -> ChatText:
        """The text of the messages with a finished answer."""
        messages, _ = drop_past_thinking(request.messages, self._form)
        listed = self._add_tools(request, messages)
        template = self._template(self._list_variables(request))
        return render_segments(template, (*listed, answer), self._vocabulary.control, closed=True)

    def read_frame(self, request: GenerateRequest) -> AnswerFrame:
        """What stands around an answer to a request in chat mode. Raises TemplateError."""
        shapes = tuple((message.role, message.calls, message.name, message.call_id) for message in request.messages)
        key = (request.chat_template_kwargs, shapes)
        if key not in self._frames:
            while len(self._frames) >= _REMEMBERED:
                del self._frames[next(iter(self._frames))]
            template = self._template(request.chat_template_kwargs)
            self._frames[key] = read_frame(template, request.messages, self._form, self._vocabulary.control)
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
        """The index of the first of the last tokens that end an answer."""
        ends_at = [at for at, token in enumerate(ids) if self._vocabulary.ends(token)]
        return ends_at[-min(ends, len(ends_at))] if ends_at else len(ids) - 1

    def _split(self, text: str) -> list[TextSegment]:
        """A text of a person's, the control tokens spelled in it apart."""
        control = self._vocabulary.control
        if control is None:
            return [TextSegment(text)]
        pieces: list[TextSegment] = []
        at = 0
        for match in control.finditer(text):
            pieces += [TextSegment(text[at : match.start()]), TextSegment(match[0], True)]
            at = match.end()
        return [*pieces, TextSegment(text[at:])]


def _cut(segments: Sequence[TextSegment], start: int) -> list[TextSegment]:
    """The segments from a character of their text on."""
    kept: list[TextSegment] = []
    for segment in segments:
        if start < len(segment.text):
            kept.append(TextSegment(segment.text[start:], segment.literal))
        start = max(0, start - len(segment.text))
    return kept
