"""A model's chat template, laid around messages: the text that the model then reads.

Templates come with model files from anywhere, so they run in Jinja's immutable sandbox, with the same names
and settings that transformers gives them. Knows nothing of tokens.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from jinja2 import TemplateError as JinjaError
from jinja2 import TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from workbench.errors import TemplateError
from workbench.prompting.prompt import Message

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


class Segment(NamedTuple):
    """A piece of the final text. literal: control tokens spelled out in it are text, not control tokens."""

    text: str
    literal: bool = False


class ChatTemplate:
    """A compiled chat template. Raises TemplateError for a syntax error, with its line."""

    def __init__(self, source: str, bos: str = "", eos: str = "") -> None:
        self.source = source
        self._names = {"bos_token": bos, "eos_token": eos, "tools": None, "documents": None}
        try:
            self._template = _make_environment().from_string(source)
        except TemplateSyntaxError as error:
            raise TemplateError(
                f"The chat template has a syntax error in line {error.lineno}: {error.message}.",
                "Give the model another template in the bench, or convert it again.",
                source,
                error.lineno,
            ) from error

    def render(self, messages: Sequence[Message], closed: bool = False) -> str:
        """The text for these messages, up to where the model is to write.

        A last assistant message is left open, to be continued, or `closed` as a finished turn. For templates that
        refuse a system message it is put before the first user message. Raises TemplateError with what the template
        complains of.
        """
        answered = bool(messages) and messages[-1].role == "assistant"
        open_end = answered and not closed
        marker = _unused_character(messages)
        if open_end:
            messages = [*messages[:-1], Message("assistant", messages[-1].content + marker)]
        try:
            text = self._fill(messages, not answered)
        except TemplateError:
            merged = _merge_system(messages)
            if merged is None:
                raise
            text = self._fill(merged, not answered)
        if not open_end:
            return text
        if marker not in text:
            raise TemplateError(
                "The chat template leaves out the last assistant message, so it cannot be continued.",
                "End the prompt with a user message, or use completion mode.",
            )
        return text[: text.rindex(marker)]

    def _fill(self, messages: Sequence[Message], add_generation_prompt: bool) -> str:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            return self._template.render(messages=turns, add_generation_prompt=add_generation_prompt, **self._names)
        except JinjaError as error:
            raise TemplateError(
                f"The model's chat template refuses these messages: {error}.",
                "Change the roles of the messages, give the model another template, or use completion mode.",
            ) from error
        except Exception as error:
            raise TemplateError(
                f"The model's chat template failed: {type(error).__name__}: {error}.",
                "Give the model another template in the bench, or use completion mode.",
            ) from error


def render_segments(
    template: ChatTemplate, messages: Sequence[Message], control: re.Pattern[str] | None, closed: bool = False
) -> tuple[Segment, ...]:
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

    if control is None or not any(control.search(message.content) for message in messages):
        return (Segment(template.render(messages, closed)),)
    hidden = [Message(message.role, control.sub(hide, message.content)) for message in messages]
    pieces = re.split(f"{opening}(\\d+){closing}", template.render(hidden, closed))
    segments = (
        Segment(found[int(piece)], True) if position % 2 else Segment(piece) for position, piece in enumerate(pieces)
    )
    return tuple(segment for segment in segments if segment.text)


def _make_environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _Generation]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = _now
    return environment


class _Generation(Extension):
    """`{% generation %}…{% endgeneration %}`, which marks text for training; here it is only passed through."""

    tags = {"generation"}  # noqa: RUF012  as the base class declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    # Jinja's own filter escapes for HTML, which no model was trained on
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


def _raise(message: str) -> None:
    raise JinjaError(message)


def _now(form: str) -> str:
    return datetime.now().strftime(form)


def _merge_system(messages: Sequence[Message]) -> list[Message] | None:
    """The messages with the system text before the first user message; None where there is nothing to
    move."""
    system = [message.content for message in messages if message.role == "system"]
    rest = [message for message in messages if message.role != "system"]
    if not system or not rest or rest[0].role != "user":
        return None
    return [Message("user", "\n\n".join([*system, rest[0].content])), *rest[1:]]


def _unused_characters(messages: Sequence[Message]) -> Iterator[str]:
    """Private-use characters that no message contains."""
    used = set().union(*(message.content for message in messages))
    return (character for code in range(0xF0000, 0xFFFFD) if (character := chr(code)) not in used)


def _unused_character(messages: Sequence[Message]) -> str:
    return next(_unused_characters(messages))
