"""Render: a prompt, the values of its variables and its examples become messages.

Knows where sections and examples go; not how a template is filled in (template.py), nor what a token is.

Sections. A line that holds only `system:`, `user:` or `assistant:` (any case, optionally after `#`) begins a
section. Line breaks around a section's text are layout and are left out; spaces and tabs are text and stay,
and what a variable brings is never trimmed. Text before the first marker is the system message; in a body without any
marker the text is the user's. A system message, or such a body, that turns out blank is not sent. In completion mode
there are no sections: the whole body, byte for byte, is one message; only the line break that ends its last line, as
every editor writes one, is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from workbench.errors import MissingVariablesError, PromptError
from workbench.prompting.prompt import Example, Message, Prompt, Role
from workbench.prompting.sandbox import MissingVariable
from workbench.prompting.template import (
    MARKER,
    BodyTemplate,
    Filled,
    Marks,
    choose_marks,
    compile_body,
    read_role,
)
from workbench.prompting.values import Kind, find_characters, make_value, read_as

Turn = tuple[Message, Message]
Values = Mapping[str, Any]
"""Variables of a template: texts, or values of other types as `Case.values` has them."""


class Section(NamedTuple):
    """Where a role's text stands: `body[start:end]`, layout included; `line` is its first line, from 1."""

    role: Role
    start: int
    end: int
    line: int


def find_sections(body: str) -> tuple[Section, ...]:
    """The sections of a body in order; text before any marker, if there is any, is the first. See the module."""
    sections: list[Section] = []
    role: Role = "system"
    start = position = 0
    first = 1
    for number, line in enumerate(body.split("\n"), start=1):
        if match := MARKER.fullmatch(line):
            sections.append(Section(role, start, position, first))
            role, first = read_role(match), number + 1
            start = min(position + len(line) + 1, len(body))
        position += len(line) + 1
    sections.append(Section(role if sections else "user", start, len(body), first))
    return tuple(section for section in sections if section.start > 0 or body[: section.end].strip())


def find_variables(prompt: Prompt) -> tuple[str, ...]:
    """The variables that the prompt asks for, in order of appearance. Raises TemplateError."""
    template = compile_body(prompt.body, _choose(prompt, {}, ()))
    return tuple(name for name in template.variables if name != "examples")


def render(prompt: Prompt, variables: Values, examples: Sequence[Example] = ()) -> tuple[Message, ...]:
    """The messages to send: the prompt with the variables' values and these examples, in this order.

    In the template a variable has the type that the prompt declares for it, or that its value has; a text that is the
    JSON of a list or an object is one. Printed, it is the text again.
    Raises TemplateError; MissingVariablesError that names every variable that is missing, in the body and in
    each example; PromptError when there is no place for the examples.
    """
    gaps = _Gaps()
    messages = _render_body(prompt, variables, examples, gaps)
    turns = _render_turns(prompt, variables, examples, gaps)
    gaps.check()
    return place_turns(messages, turns)


def render_turns(prompt: Prompt, examples: Sequence[Example]) -> tuple[Turn, ...]:
    """Each example as a user and an assistant message; none unless the prompt places examples as turns."""
    gaps = _Gaps()
    turns = _render_turns(prompt, {}, examples, gaps)
    gaps.check()
    return turns


def place_turns(messages: Sequence[Message], turns: Sequence[Turn]) -> tuple[Message, ...]:
    """The messages with the turns before the last user message."""
    if not turns:
        return tuple(messages)
    users = [number for number, message in enumerate(messages) if message.role == "user"]
    if not users:
        raise _no_place()
    return (*messages[: users[-1]], *(message for turn in turns for message in turn), *messages[users[-1] :])


class _Shown:
    """An example as a template sees it: `e.answer`, `e["message"]`, and its names when looped over."""

    __slots__ = ("_values",)

    def __init__(self, example: Example) -> None:
        values = {name: _read(value, None) for name, value in example.values.items()}
        self._values = {**values, "answer": example.answer, "id": example.id}

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __str__(self) -> str:
        return str(self._values["id"])


class _Gaps:
    """The missing variables of one rendering, collected so that all of them are reported together."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._names: dict[str, None] = {}

    def fill(self, template: BodyTemplate, values: Mapping[str, object], place: str) -> tuple[Filled, ...]:
        try:
            return template.fill(values)
        except MissingVariable as error:
            lacking = [name for name in template.variables if name not in values]
            needed = [name for name in lacking if name not in template.guarded or name == error.name]
            names = list(dict.fromkeys([*needed, error.name]))
            self._lines.append(f"{place}: {', '.join(names)}")
            self._names.update(dict.fromkeys(names))
            return ()

    def check(self) -> None:
        if self._lines:
            raise MissingVariablesError(
                "Variables are missing in " + "; in ".join(self._lines) + ".",
                "Give them a value in the case, in the example, or as a default of the prompt.",
                names=tuple(self._names),
            )


def _render_body(prompt: Prompt, variables: Values, examples: Sequence[Example], gaps: _Gaps) -> tuple[Message, ...]:
    template = compile_body(_sent(prompt), _choose(prompt, variables, examples))
    values = _read_values(prompt, template, variables)
    if prompt.placement == "inline" and examples:
        values["examples"] = [_Shown(example) for example in examples]
    pieces = gaps.fill(template, values, "the prompt")
    if prompt.mode == "completion":
        return tuple(Message("user", piece.text) for piece in pieces)
    unmarked: Role = "system" if any(piece.role for piece in pieces) else "user"
    return tuple(
        Message(piece.role or unmarked, piece.text)
        for piece in pieces
        if piece.text.strip() or piece.role not in (None, "system")
    )


def _sent(prompt: Prompt) -> str:
    """The body as it is filled in: a completion would go on behind the line break that ends a file's last line."""
    body = prompt.body
    return body[: -(2 if body.endswith("\r\n") else 1)] if prompt.mode == "completion" and body.endswith("\n") else body


def _render_turns(prompt: Prompt, variables: Values, examples: Sequence[Example], gaps: _Gaps) -> tuple[Turn, ...]:
    if prompt.placement != "turns" or not examples:
        return ()
    template = _find_input_template(prompt, _choose(prompt, variables, examples))
    turns: list[Turn] = []
    for example in examples:
        pieces = gaps.fill(template, _read_values(prompt, template, example.values), f"example {example.id}")
        text = "".join(piece.text for piece in pieces)
        turns.append((Message("user", text), Message("assistant", example.answer)))
    return tuple(turns)


def _read_values(prompt: Prompt, template: BodyTemplate, variables: Values) -> dict[str, Any]:
    """What the template sees: only variables that it asks for are read, for a text may be long."""
    given: dict[str, Any] = {"examples": [], **prompt.defaults, **variables}
    return {name: _read(given[name], prompt.kinds.get(name)) for name in template.variables if name in given}


def _read(value: Any, kind: Kind | None) -> Any:
    return read_as(value, kind) if isinstance(value, str) else make_value(value)


def _find_input_template(prompt: Prompt, marks: Marks | None) -> BodyTemplate:
    """The last user section as a template of its own; line breaks before it keep the line numbers right."""
    sections = [section for section in find_sections(prompt.body) if section.role == "user"]
    if prompt.mode == "completion" or not sections:
        raise _no_place()
    last = sections[-1]
    return compile_body("\n" * (last.line - 1) + prompt.body[last.start : last.end], marks)


def _no_place() -> PromptError:
    return PromptError(
        "Examples as turns go before the last user message, and this prompt has none.",
        "Begin a section with a line `user:`, or place the examples `inline` and loop over `examples`.",
    )


def _choose(prompt: Prompt, variables: Values, examples: Sequence[Example]) -> Marks | None:
    if prompt.mode == "completion":
        return None
    shown = (value for example in examples for value in (*example.values.values(), example.answer, example.id))
    texts = (prompt.body, *prompt.defaults.values(), *variables.values(), *shown)
    return choose_marks(set().union(*(find_characters(_read(text, None)) for text in texts)))
