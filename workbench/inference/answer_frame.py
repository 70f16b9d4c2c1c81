"""What a model has to write around an answer so that its turn is whole, by its chat template.

The roles of a conversation are rendered with a character of its own in each place, once open and once answered, and
what stands around the answer's is the frame: no text that a person wrote can be taken for it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from workbench.errors import TemplateError
from workbench.inference.reasoning import AnswerFormat, Tags
from workbench.prompting.chat_template import ChatTemplate
from workbench.prompting.prompt import Message

_MARK = 0xF0000
_ANSWER = chr(0xF8F2)
_TAG = re.compile(r"<[^<>]*>|\[[^\[\]]*\]")


class AnswerFrame(NamedTuple):
    """opening: what stands between the prompt's end and the answer, an empty reasoning block among it where the
    template has one; closing: what stands behind the answer. strips: whether white space before and behind an answer is
    left out. open: the tags of the reasoning that the prompt has begun. tags: further ones that an answer may begin
    with. parts: an answered prompt is written otherwise than an open one.
    """

    opening: str = ""
    closing: str = ""
    strips: tuple[bool, bool] = (False, False)
    open: Tags | None = None
    tags: tuple[Tags, ...] = ()
    parts: bool = False

    def complete(self, answer: str) -> tuple[str, str]:
        """What stands before an answer, and the answer as the template writes it.

        An answer that brings its own reasoning takes the place of the empty block, and continues one that is open.
        """
        start = answer.lstrip()
        if self.open and self.open.closing in answer:
            begun = start.startswith(self.open.opening)
            return "", self._strip(start.removeprefix(self.open.opening).lstrip() if begun else answer)
        own = next((pair for pair in self.tags if start.startswith(pair.opening) and pair.closing in start), None)
        if own is None:
            return self.opening, self._strip(answer)
        empty = self.opening.lstrip().startswith((own.opening, own.closing))
        return "" if empty else self.opening.partition(own.opening)[0], self._strip(start)

    def _strip(self, answer: str) -> str:
        before, behind = self.strips
        answer = answer.lstrip() if before else answer
        return answer.rstrip() if behind else answer


def read_frame(
    template: ChatTemplate, messages: Sequence[Message], form: AnswerFormat, control: re.Pattern[str] | None = None
) -> AnswerFrame:
    """The frame of an answer to messages of these roles and calls, whatever their texts. control: as in
    render_segments; tags with such text in them are only text in an answer.

    Raises TemplateError where the template refuses such messages.
    """
    marks = [msgspec.structs.replace(one, content=chr(_MARK + index)) for index, one in enumerate(messages)]
    prompt = _behind_last(template.render(marks).text, marks)
    tags = tuple(pair for pair in form.tags if not (control and control.search(pair.opening)))
    closing_tag = form.find_open(prompt)
    begun = next((pair for pair in form.tags if pair.closing == closing_tag), None) if closing_tag else None
    closed = _render_closed(template, marks, _ANSWER)
    if closed is None:
        opening = _end_reasoning(begun, prompt, form) if begun else ""
        return AnswerFrame(opening, "", open=begun, tags=tags, parts=True)
    before, _, closing = closed.partition(_ANSWER)
    header = _behind_last(before, marks)
    parts = not header.startswith(prompt)
    opening = header[find_parting(prompt, header) if parts else len(prompt) :]
    if parts and prompt.endswith(opening):
        opening = ""  # as where a prompt ends with an empty block, and an answered one with its end alone
    if begun and begun.closing not in opening:
        end = _end_reasoning(begun, prompt, form)
        opening = end if end.endswith(opening) else end + opening
    elif not begun and (found := form.find_open(prompt + opening)):
        opening += _end_reasoning(next(pair for pair in form.tags if pair.closing == found), opening, form)
    return AnswerFrame(opening, closing, _find_strips(template, marks, closed), begun, tags, parts)


def _render_closed(template: ChatTemplate, marks: Sequence[Message], answer: str) -> str | None:
    """The text with an answer behind these messages; None where it does not arrive."""
    begun = marks[-1].content if marks and marks[-1].role == "assistant" else ""
    turns = [*(marks[:-1] if begun else marks), Message("assistant", begun + answer)]
    try:
        text = template.render(turns, closed=True).text
    except TemplateError:
        return None
    return text if _ANSWER in text else None


def _behind_last(text: str, marks: Sequence[Message]) -> str:
    """What stands behind the last message that arrived."""
    return text[max((text.rfind(mark.content) for mark in marks), default=-1) + 1 :]


def find_parting(one: str, other: str) -> int:
    """Where two texts part; not within a tag, which is one token to a model."""
    length = next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(other))
    length = min(length, len(one), len(other))
    inside = (tag.start() for text in (one, other) for tag in _TAG.finditer(text) if tag.start() < length < tag.end())
    return min(inside, default=length)


def _end_reasoning(tags: Tags, before: str, form: AnswerFormat) -> str:
    """The end of reasoning that says nothing: as the template writes it, else as models of this kind do."""
    if tags.closing in form.reasoning_end:
        return form.reasoning_end
    return f"\n{tags.closing}\n\n" if before.endswith("\n") else f"{tags.closing}\n\n"


def _find_strips(template: ChatTemplate, marks: Sequence[Message], closed: str) -> tuple[bool, bool]:
    """Whether white space before and behind an answer is left out."""
    spaced = _render_closed(template, marks, f" {_ANSWER} ")
    if spaced is None:
        return False, False
    plain, wide = closed.partition(_ANSWER), spaced.partition(_ANSWER)
    return plain[0] == wide[0], plain[2] == wide[2]
