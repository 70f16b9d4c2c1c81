"""Where pictures stand in the text that a chat template makes of messages.

Each picture is one private-use character while the template is filled in: either its own, put where it stands in a
message's text, or that which replaces what the template writes for a part of the type `image`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence

import msgspec

from workbench.errors import TemplateError
from workbench.prompting.chat_template import ChatTemplate, ChatText, TextSegment, render_segments
from workbench.prompting.pictures import Picture, insert_at_pictures
from workbench.prompting.prompt import Message

_FIRST = 0x100000


def render_layout(
    template: ChatTemplate,
    messages: Sequence[Message],
    control: re.Pattern[str] | None,
    marks: Mapping[str, Picture],
    placeholder: str,
) -> ChatText:
    """The chat template's text, in which a character stands for each picture.

    marks: those characters; see `mark_pictures`. placeholder: what the template writes for a picture among the parts of
    a message; empty where it is not asked. Raises TemplateError.
    """
    placed: ChatText | None = None
    if marks and placeholder:
        with contextlib.suppress(TemplateError):  # it takes texts alone
            placed = put_marks_at(render_segments(template, messages, control), placeholder, marks)
    if placed is None:
        placed = render_segments(template, put_marks(messages, marks), control)
    check_marks(placed.text, marks)
    return placed


def digest_pictures(messages: Sequence[Message]) -> list[object]:
    """Messages by which prompts are told apart, without the bytes of pictures."""
    return [
        (msgspec.structs.replace(message, pictures=()), [(one.digest, one.at, one.name) for one in message.pictures])
        if message.pictures
        else message
        for message in messages
    ]


def mark_pictures(messages: Sequence[Message]) -> dict[str, Picture]:
    """The pictures of a conversation in order, by characters that none of its texts contains."""
    pictures = [picture for message in messages for picture in message.pictures]
    if not pictures:
        return {}
    used = set().union(*(message.content for message in messages))
    free = (character for code in range(_FIRST, 0x10FFFE) if (character := chr(code)) not in used)
    return dict(zip(free, pictures, strict=False))


def put_marks(messages: Sequence[Message], marks: Mapping[str, Picture]) -> tuple[Message, ...]:
    """The messages as texts, with each picture's character at its place."""
    left = iter(marks)
    return tuple(
        msgspec.structs.replace(
            message, content=insert_at_pictures(message.content, message.pictures, lambda _: next(left)), pictures=()
        )
        if message.pictures
        else message
        for message in messages
    )


def put_marks_at(layout: ChatText, placeholder: str, marks: Mapping[str, Picture]) -> ChatText | None:
    """The text with the pictures' characters instead of what the template wrote for them, in order; None where it did
    not write one for each. What a person wrote stands in literal segments, where nothing is replaced."""
    left = list(marks)
    segments: list[TextSegment] = []
    for segment in layout.segments:
        pieces = [segment.text] if segment.literal else segment.text.split(placeholder)
        if len(pieces) - 1 > len(left):
            return None
        text = pieces[0]
        for piece in pieces[1:]:
            text += left.pop(0) + piece
        segments.append(TextSegment(text, segment.literal))
    return None if left else layout._replace(segments=tuple(segments))


def check_marks(text: str, marks: Mapping[str, Picture]) -> None:
    """Raise TemplateError where a picture does not stand in the text once, or ends it."""
    for number, (mark, picture) in enumerate(marks.items(), start=1):
        if text.count(mark) != 1:
            how = "leaves out" if mark not in text else "repeats"
            raise TemplateError(
                f"The model's chat template {how} picture {number} ({picture.name or picture.media_type}).",
                "Give the model another template in the bench, or put the picture into another message.",
            )
    if text[-1:] in marks:
        raise TemplateError(
            "The prompt ends with a picture, and a model continues a text.",
            "Write something behind the picture, or give the model a template that opens an answer.",
        )


def without_marks(text: str, marks: Mapping[str, Picture]) -> str:
    """The text alone."""
    return text.translate(dict.fromkeys(map(ord, marks)))
