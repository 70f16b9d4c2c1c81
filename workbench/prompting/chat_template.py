"""A model's chat template applied to messages: the text that the model reads, and which messages were lost on the way.

Templates come with model files from anywhere, so they run in Jinja's immutable sandbox with counted loops, and with
the names and settings that transformers gives them.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from jinja2 import TemplateError as JinjaError
from jinja2 import TemplateSyntaxError

from workbench.errors import TemplateError
from workbench.prompting.chat_environment import ChatEnvironment, format_date
from workbench.prompting.chat_repairs import (
    Repair,
    choose_repairs,
    describe_repair,
    fold_systems,
    make_turns,
    write_calls,
)
from workbench.prompting.message_losses import MessageLoss, describe_losses, find_losses
from workbench.prompting.prompt import Message
from workbench.prompting.tools import ToolCall, write_arguments
from workbench.prompting.work_limit import WorkLimitExceeded, limit_work

PLAIN = (
    "{% for message in messages %}{{ message.role | capitalize }}: {{ message.content }}\n\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
"""For a model without a template and without ChatML's tokens: `User: …`, `Assistant:`, an empty line
between."""

PLAIN_STOP = "\nUser:"
"""Where a model under PLAIN begins to write the other side's turn."""

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""For a model without a template whose vocabulary has `<|im_start|>` and `<|im_end|>`."""

_REMEMBERED = 512
"""Orders of roles whose way through a template is remembered."""

_FIRST_MARK = 0xF0000
"""The first of the private-use characters that stand for messages."""

_FIRST_CALL_MARK = 0xF8000
"""The first of those that stand for the arguments of tool calls."""


class TextSegment(NamedTuple):
    """A piece of the final text. literal: control tokens spelled out in it are text, not control tokens."""

    text: str
    literal: bool = False


class RenderedChat(NamedTuple):
    """The text for some messages. repair: what was done so that they all arrive. losses: what did not, or arrived
    changed. notes: what of both a person has to know, one sentence each."""

    text: str
    repair: Repair = Repair()
    losses: tuple[MessageLoss, ...] = ()
    notes: tuple[str, ...] = ()


class ChatText(NamedTuple):
    """The final text in pieces. notes, repair: as in RenderedChat."""

    segments: tuple[TextSegment, ...]
    notes: tuple[str, ...] = ()
    repair: Repair = Repair()

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments)


class ChatTemplate:
    """A compiled chat template. Raises TemplateError for a syntax error, with its line.

    special_tokens: names such as `bos_token` -> their text; those that the model does not have are left out, as in
    transformers. variables: further names, such as `enable_thinking`; `date` (2026-11-30) is what the template is told
    is today.
    """

    def __init__(
        self, source: str, special_tokens: Mapping[str, str] | None = None, variables: Mapping[str, Any] | None = None
    ) -> None:
        self.source = source
        self._names = {"tools": None, "documents": None, **(special_tokens or {}), **(variables or {})}
        self._names["strftime_now"] = functools.partial(format_date, (variables or {}).get("date"))
        self._frames: dict[object, str | None] = {}
        try:
            self._template = ChatEnvironment().compile_limited(source)
        except TemplateSyntaxError as error:
            raise TemplateError(
                f"The chat template has a syntax error in line {error.lineno}: {error.message}.",
                "Give the model another template in the bench, or convert it again.",
                source,
                error.lineno,
            ) from error
        except RecursionError as error:
            raise TemplateError(
                "The chat template is nested too deeply to be read.", "Give the model another template in the bench."
            ) from error

    def render(self, messages: Sequence[Message], closed: bool = False) -> RenderedChat:
        """The text for these messages, up to where the model is to write.

        A last assistant message is left open, to be continued, or `closed` as a finished turn. Where a message does
        not arrive in the text, or the template refuses it, faithful repairs are tried: contents as typed parts, a
        system message before the user message behind it, the begun answer behind the template's own opening of one.
        What is lost even so is among the losses. Raises TemplateError with what the template complains of.
        """
        open_end = bool(messages) and messages[-1].role == "assistant" and not closed
        best: RenderedChat | None = None
        refused: TemplateError | None = None
        for repair in choose_repairs(messages, open_end):
            try:
                text = self._apply(messages, repair, closed)
            except TemplateError as error:
                if isinstance(error.__cause__, WorkLimitExceeded):  # another form of the messages is as much work
                    raise
                refused = refused or error
                continue
            if text is None:
                continue
            lost, lost_calls = self._find_lost(messages, repair, closed)
            losses = find_losses(messages, text, lost, open_end, lost_calls)
            notes = (*describe_repair(repair, messages), *describe_losses(losses))
            found = RenderedChat(text, repair, losses, notes)
            if not any(loss.serious for loss in losses):
                return found
            if best is None or len(losses) < len(best.losses):
                best = found
        if best is None:
            raise refused or TemplateError(
                "The chat template leaves out the last assistant message, so it cannot be continued.",
                "End the prompt with a user message, or use completion mode.",
            )
        return best

    def find_starts(self, messages: Sequence[Message], text: str, repair: Repair) -> tuple[int, ...]:
        """Where each message's content begins in the text that these messages gave after a repair.

        Told by what the template writes between messages of these roles; a content that it trims or changes is looked
        for, and one that is left out stands where the one before it ends.
        """
        frame = self._mark(messages, repair, False) or ""
        starts: list[int] = []
        cursor = at = 0
        for index, message in enumerate(messages):
            mark = frame.find(chr(_FIRST_MARK + index), at)
            start = cursor + max(0, mark - at)
            content = message.content
            if not text.startswith(content, start):
                content = content.strip()
                found = text.find(content, cursor)
                start = start if found < 0 else found
            starts.append(start)
            if mark >= 0:
                cursor, at = start + len(content), mark + 1
        return tuple(starts)

    def _find_lost(self, messages: Sequence[Message], repair: Repair, closed: bool) -> tuple[set[int], set[int]]:
        """The indices whose message, and whose tool calls, are left out in a conversation of these roles, whatever it
        says; none are known where the template refuses such messages."""
        frame = self._mark(messages, repair, closed)
        if frame is None:
            return set(), set()
        lost = {index for index in range(len(messages)) if chr(_FIRST_MARK + index) not in frame}
        called = {index for index, message in enumerate(messages) if message.calls}
        return lost, {index for index in called if chr(_FIRST_CALL_MARK + index) not in frame}

    def _mark(self, messages: Sequence[Message], repair: Repair, closed: bool) -> str | None:
        """The text for messages of the same roles, each of which is one character of its own; remembered."""
        called = [(message.role, tuple(call.name for call in message.calls), message.name) for message in messages]
        key = (tuple(called), repair, closed)
        if key not in self._frames:
            while len(self._frames) >= _REMEMBERED:
                del self._frames[next(iter(self._frames))]
            marks = [
                msgspec.structs.replace(
                    message,
                    content=chr(_FIRST_MARK + index),
                    calls=_mark_calls(message, chr(_FIRST_CALL_MARK + index)),
                    pictures=(),
                )
                for index, message in enumerate(messages)
            ]
            try:
                self._frames[key] = self._apply(marks, repair, closed)
            except TemplateError:
                self._frames[key] = None
        return self._frames[key]

    def _apply(self, messages: Sequence[Message], repair: Repair, closed: bool) -> str | None:
        """The text after a repair; None where the template does not take messages in that form."""
        folded = fold_systems(write_calls(messages) if repair.calls == "written" else messages, repair.systems)
        answered = bool(folded) and folded[-1].role == "assistant"
        if not answered or closed:
            return self._fill(folded, repair, not answered)
        begun = folded[-1].content
        if repair.appends:
            return _append(self._fill(folded[:-1], repair, True), begun)
        marker = _unused_character(messages)
        text = self._fill([*folded[:-1], Message("assistant", begun + marker)], repair, False)
        if text is None or marker not in text:
            return None
        text = text[: text.rindex(marker)]
        return text if text.endswith(begun) else None

    def _fill(self, messages: Sequence[Message], repair: Repair, add_generation_prompt: bool) -> str | None:
        text = self.fill(make_turns(messages, repair), add_generation_prompt)
        typed = repair.typed or any(message.pictures for message in messages)
        return None if typed and _shows_parts(text) else text

    def fill(self, turns: Sequence[Mapping[str, Any]], add_generation_prompt: bool) -> str:
        """The template's text for turns as it takes them, nothing checked. Raises TemplateError."""
        try:
            with limit_work(turns) as work:
                text = self._template.render(messages=turns, add_generation_prompt=add_generation_prompt, **self._names)
                work.check_length(len(text))
                return text
        except JinjaError as error:
            raise TemplateError(
                f"The model's chat template rejects these messages: {error or type(error).__name__}.",
                "Change the roles of the messages, give the model another template, or use completion mode.",
            ) from error
        except Exception as error:
            raise TemplateError(
                f"The model's chat template failed: {type(error).__name__}: {error}.",
                "Give the model another template in the bench, or use completion mode.",
            ) from error


def render_segments(
    template: ChatTemplate, messages: Sequence[Message], control: re.Pattern[str] | None, closed: bool = False
) -> ChatText:
    """The final text, with the control tokens that stand inside message contents kept apart as literal
    segments.

    control: matches the text of every control token; None where the model has none. Contents without such
    text give one segment, so that nothing changes for them.
    """
    found: list[str] = []
    opening, closing = itertools.islice(_unused_characters(messages), 1, 3)

    def hide(match: re.Match[str]) -> str:
        found.append(match[0])
        return f"{opening}{len(found) - 1}{closing}"

    if control is None or not any(control.search(text) for message in messages for text in _list_texts(message)):
        rendered = template.render(messages, closed)
        return ChatText((TextSegment(rendered.text),), rendered.notes, rendered.repair)
    hidden = [_hide(message, control, hide) for message in messages]
    rendered = template.render(hidden, closed)
    pieces = re.split(f"{opening}(\\d+){closing}", rendered.text)
    segments = (
        TextSegment(found[int(piece)], True) if position % 2 else TextSegment(piece)
        for position, piece in enumerate(pieces)
    )
    return ChatText(tuple(segment for segment in segments if segment.text), rendered.notes, rendered.repair)


def _mark_calls(message: Message, mark: str) -> tuple[ToolCall, ...]:
    return tuple(ToolCall(call.name, write_arguments({"x": mark}), call.id) for call in message.calls)


def _list_texts(message: Message) -> Iterator[str]:
    """Everything in a message that somebody else than the template wrote."""
    yield message.content
    for call in message.calls:
        yield from (call.name, call.arguments)


def _hide(message: Message, control: re.Pattern[str], hide: Callable[[re.Match[str]], str]) -> Message:
    calls = tuple(
        ToolCall(control.sub(hide, call.name), control.sub(hide, call.arguments), call.id) for call in message.calls
    )
    return msgspec.structs.replace(message, content=control.sub(hide, message.content), calls=calls)


_OPENED = re.compile(r"<[^<>\s]*(?:think|thought|reasoning)[^<>\s]*>\s*\Z|\[THINK\]\s*\Z", re.IGNORECASE)
"""A reasoning block that a template opens behind the assistant's name."""


def _append(opening: str | None, begun: str) -> str | None:
    """A begun answer behind the template's own opening of one, whose reasoning block it continues or replaces."""
    if opening is None:
        return None
    block = _OPENED.search(opening)
    if block is None:
        return opening + begun
    tag = block[0].strip()
    closing = tag.replace("<", "</", 1) if tag.startswith("<") else tag.replace("[", "[/", 1)
    if closing in begun and not begun.lstrip().startswith(tag):
        return opening + begun  # it goes on inside the block that the template has opened
    return opening[: block.start()] + begun


def _shows_parts(text: str) -> bool:
    """Whether a template printed a list of parts as such: it takes contents as text."""
    return "'type': 'text'" in text or '"type": "text"' in text


def _unused_characters(messages: Sequence[Message]) -> Iterator[str]:
    """Private-use characters that no message contains."""
    used = set().union(*(text for message in messages for text in _list_texts(message)))
    return (character for code in range(0xF0000, 0xFFFFD) if (character := chr(code)) not in used)


def _unused_character(messages: Sequence[Message]) -> str:
    return next(_unused_characters(messages))
