"""A prompt, the values of its variables and its examples become messages.

Sections. A line that holds only `system:`, `user:` or `assistant:` (any case, optionally after `#`) starts a section.
Line breaks around a section's text are layout and are left out; spaces and tabs are text and stay, and the value of a
variable is never trimmed. Text before the first marker is the system message; in a body without any marker the text is
the user's. A system message, or such a body, that turns out blank is not sent. In completion mode there are no
sections: the whole body, byte for byte, is one message, without the newline at its end that every editor writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from workbench.errors import MissingVariablesError, PromptError
from workbench.prompting.pictures import Picture
from workbench.prompting.prompt import Example, Message, Prompt, Role
from workbench.prompting.sandbox import MissingVariable
from workbench.prompting.steps import find_step_variables
from workbench.prompting.template import (
    MARKER,
    BodyTemplate,
    Filled,
    Marks,
    choose_marks,
    compile_body,
    read_role,
)
from workbench.prompting.threads import expand_threads, mark_threads, refuse_threads
from workbench.prompting.values import Kind, find_characters, make_value, read_as

Turn = tuple[Message, Message]
Values = Mapping[str, Any]
"""Variables of a template: texts, or values of other types as `Case.values` has them."""


class RoleSection(NamedTuple):
    """Where a role's text stands: `body[start:end]`, layout included; `line` is its first line, from 1."""

    role: Role
    start: int
    end: int
    line: int


def find_sections(body: str) -> tuple[RoleSection, ...]:
    """The sections of a body in order; text before any marker, if there is any, is the first. See the module."""
    sections: list[RoleSection] = []
    role: Role = "system"
    start = position = 0
    first = 1
    for number, line in enumerate(body.split("\n"), start=1):
        if match := MARKER.fullmatch(line):
            sections.append(RoleSection(role, start, position, first))
            role, first = read_role(match), number + 1
            start = min(position + len(line) + 1, len(body))
        position += len(line) + 1
    sections.append(RoleSection(role if sections else "user", start, len(body), first))
    return tuple(section for section in sections if section.start > 0 or body[: section.end].strip())


def find_variables(prompt: Prompt) -> tuple[str, ...]:
    """The variables that the prompt asks for, in order of appearance; of a chain, those of all its steps.

    Raises TemplateError.
    """
    if prompt.steps:
        return find_step_variables(prompt, find_variables)
    template = compile_body(prompt.body, _choose(prompt, {}, ()))
    return tuple(name for name in template.variables if name != "examples")


def find_turn_variables(prompt: Prompt) -> tuple[str, ...]:
    """The variables of the last user message, which each later turn of a conversation fills in again.

    Raises TemplateError, PromptError where there is no such message.
    """
    return tuple(_find_input_template(prompt, _choose(prompt, {}, ())).variables)


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
    return insert_turns(messages, turns)


def render_turns(prompt: Prompt, examples: Sequence[Example]) -> tuple[Turn, ...]:
    """Each example as a user and an assistant message; none unless the prompt pictures examples as turns."""
    gaps = _Gaps()
    turns = _render_turns(prompt, {}, examples, gaps)
    gaps.check()
    return turns


def render_turn(prompt: Prompt, variables: Values) -> Message:
    """The last user message alone, with these variables: what a person says next in a conversation.

    Raises what `render` raises.
    """
    gaps = _Gaps()
    template = _find_input_template(prompt, _choose(prompt, variables, ()))
    refuse_threads(prompt, template.variables, "A later turn")
    values = _read_values(prompt, template, variables)
    marked = _mark_pictures(prompt, variables, values)
    pieces = gaps.fill(template, values, "the turn")
    gaps.check()
    return _insert_pictures(Message("user", "".join(piece.text for piece in pieces)), marked)


def insert_turns(messages: Sequence[Message], turns: Sequence[Turn]) -> tuple[Message, ...]:
    """The messages with the turns before the last user message."""
    if not turns:
        return tuple(messages)
    users = [number for number, message in enumerate(messages) if message.role == "user"]
    if not users:
        raise _no_examples_block()
    return (*messages[: users[-1]], *(message for turn in turns for message in turn), *messages[users[-1] :])


class _JinjaExample:
    """An example as a template sees it: `e.answer`, `e["message"]`, and its names when looped over."""

    __slots__ = ("_values",)

    def __init__(self, example: Example, values: Mapping[str, Any]) -> None:
        """values: the example's, with a character for each picture."""
        read = {name: _read(value, None) for name, value in values.items()}
        self._values = {**read, "answer": example.answer, "id": example.id}

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

    def fill(self, template: BodyTemplate, values: Mapping[str, object], where: str) -> tuple[Filled, ...]:
        try:
            return template.fill(values)
        except MissingVariable as error:
            lacking = [name for name in template.variables if name not in values]
            needed = [name for name in lacking if name not in template.guarded or name == error.name]
            names = list(dict.fromkeys([*needed, error.name]))
            self._lines.append(f"{where}: {', '.join(names)}")
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
    threads = mark_threads(prompt, variables, values)
    shown = list(examples) if prompt.placement == "inline" else []
    marked = _mark_pictures(prompt, variables, values, *(inner := [dict(example.values) for example in shown]))
    if shown:
        values["examples"] = [_JinjaExample(*one) for one in zip(shown, inner, strict=True)]
    pieces = gaps.fill(template, values, "the prompt")
    if prompt.mode == "completion":
        if marked:
            raise PromptError(
                f"{prompt.name} is a completion, which has no pictures.", "Set `mode: chat` in the prompt."
            )
        return tuple(Message("user", piece.text) for piece in pieces)
    unmarked: Role = "system" if any(piece.role for piece in pieces) else "user"
    messages = tuple(
        _insert_pictures(Message(piece.role or unmarked, piece.text), marked)
        for piece in pieces
        if piece.text.strip() or piece.role not in (None, "system")
    )
    return expand_threads(messages, threads)


def _mark_pictures(prompt: Prompt, variables: Values, *shown: dict[str, Any]) -> dict[str, Picture]:
    """Put a character that nobody wrote where each picture stands among values; the pictures by their characters."""
    found = [(values, name) for values in shown for name, value in values.items() if isinstance(value, Picture)]
    if not found:
        return {}
    given = (value for values in (variables, *shown) for value in values.values())
    used = set(prompt.body).union(*(str(value) for value in given if not isinstance(value, Picture)))
    free = (chr(code) for code in range(0xFB000, 0xFFFFD) if chr(code) not in used)
    marked: dict[str, Picture] = {}
    for mark, (values, name) in zip(free, found, strict=False):
        marked[mark], values[name] = values[name], mark
    return marked


def _insert_pictures(message: Message, marked: Mapping[str, Picture]) -> Message:
    """The message with its pictures instead of their characters."""
    found = [(at, marked[character]) for at, character in enumerate(message.content) if character in marked]
    if not found:
        return message
    text = "".join(character for character in message.content if character not in marked)
    pictures = tuple(msgspec.structs.replace(picture, at=at - before) for before, (at, picture) in enumerate(found))
    return msgspec.structs.replace(message, content=text, pictures=pictures)


def _sent(prompt: Prompt) -> str:
    """The body as it is filled in: a completion would go on behind the line break that ends a file's last line."""
    body = prompt.body
    return body[: -(2 if body.endswith("\r\n") else 1)] if prompt.mode == "completion" and body.endswith("\n") else body


def _render_turns(prompt: Prompt, variables: Values, examples: Sequence[Example], gaps: _Gaps) -> tuple[Turn, ...]:
    if prompt.placement != "turns" or not examples:
        return ()
    template = _find_input_template(prompt, _choose(prompt, variables, examples))
    turns: list[Turn] = []
    refuse_threads(prompt, template.variables, "An example")
    for example in examples:
        values = _read_values(prompt, template, example.values)
        marked = _mark_pictures(prompt, example.values, values)
        pieces = gaps.fill(template, values, f"example {example.id}")
        shown = _insert_pictures(Message("user", "".join(piece.text for piece in pieces)), marked)
        turns.append((shown, Message("assistant", example.answer)))
    return tuple(turns)


def _read_values(prompt: Prompt, template: BodyTemplate, variables: Values) -> dict[str, Any]:
    """What the template sees: only variables that it asks for are read, for a text may be long."""
    given: dict[str, Any] = {"examples": [], **prompt.defaults, **variables}
    return {name: _read(given[name], prompt.kinds.get(name)) for name in template.variables if name in given}


def _read(value: Any, kind: Kind | None) -> Any:
    if isinstance(value, Picture):
        return value
    return read_as(value, kind) if isinstance(value, str) else make_value(value)


def _find_input_template(prompt: Prompt, marks: Marks | None) -> BodyTemplate:
    """The last user section as a template of its own; line breaks before it keep the line numbers right."""
    sections = [section for section in find_sections(prompt.body) if section.role == "user"]
    if prompt.mode == "completion" or not sections:
        raise _no_examples_block()
    last = sections[-1]
    return compile_body("\n" * (last.line - 1) + prompt.body[last.start : last.end], marks)


def _no_examples_block() -> PromptError:
    return PromptError(
        "Examples as turns go before the last user message, but this prompt has none.",
        "Start a section with a line `user:`, or place the examples `inline` and loop over `examples`.",
    )


def _choose(prompt: Prompt, variables: Values, examples: Sequence[Example]) -> Marks | None:
    if prompt.mode == "completion":
        return None
    shown = (value for example in examples for value in (*example.values.values(), example.answer, example.id))
    texts = (prompt.body, *prompt.defaults.values(), *variables.values(), *shown)
    written = (_read(text, None) for text in texts if not isinstance(text, Picture))
    return choose_marks(set().union(*map(find_characters, written)))
