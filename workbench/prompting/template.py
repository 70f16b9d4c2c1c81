"""A prompt's body, compiled once and rendered safely many times.

The body is compiled whole. A role marker becomes one character that is neither in the body nor in any value, so a
value can add no role; and values are never compiled, so a value can add no template.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from jinja2 import Template, nodes

from workbench.errors import TemplateError
from workbench.prompting.instrumentation import GLOBAL, MOST_NODES, count_nodes
from workbench.prompting.prompt import Role
from workbench.prompting.sandbox import MissingVariable, Sandbox
from workbench.prompting.template_errors import compile_tree, explain_failure, find_undeclared, parse, too_many_tags
from workbench.prompting.work_limit import limit_work

MARKER = re.compile(
    r"[ \t]*(?:#+[ \t]*)?(system|developer|user|assistant)(?:\[[^\]\r\n]*\])?[ \t]*:[ \t]*\r?", re.IGNORECASE
)
"""A whole line, without its newline, that begins a role's section."""

MARKED_ROLES: tuple[Role, ...] = ("system", "user", "assistant")
_BLANKS = "\x1c\x1d\x1e\x1f\x0b\x0c\x85\u2028\u2029\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u3000"


class Marks(NamedTuple):
    """The characters that stand for something else while a template is filled in.

    The first three are role markers. The others are line breaks of the body at the edge of a text, which are
    layout if a section begins or ends there; a line break that a value brings is never one of them.
    """

    system: str
    user: str
    assistant: str
    newline: str
    carriage: str


def choose_marks(used: Container[str]) -> Marks:
    """Characters that are not used: Unicode's non-characters, else private ones."""
    codes = (code for block in (range(0xFDD0, 0xFDF0), range(0x10F000, 0x10FFFE)) for code in block)
    return Marks(*islice((mark for mark in map(chr, codes) if mark not in used), 5))


def read_role(marker: re.Match[str]) -> Role:
    """The role that a marker line names."""
    name = marker[1].lower()
    return next((role for role in MARKED_ROLES if role == name), "system")  # `developer` is OpenAI's word for it


class Filled(NamedTuple):
    """One piece of a filled-in body and the role whose marker stands before it; None: before any marker."""

    role: Role | None
    text: str


class BodyTemplate:
    """A compiled body.

    variables: the names it asks for, in order of appearance. guarded: those it can do without, because it
    tests whether they are defined or gives them a default.
    """

    def __init__(self, body: str, marks: Marks | None) -> None:
        self.marks = marks
        environment = Sandbox()
        blank = next((character for character in _BLANKS if character not in body), " ")
        try:
            tree = parse(environment, _mark(body, marks).replace("\r", blank))
            if count_nodes(tree) > MOST_NODES:
                raise too_many_tags()
            self.variables = _order_variables(environment, tree)
            self.guarded = _find_guarded(tree)
            _name_globals(environment, tree)
            _restore(tree, blank, marks)
            code = compile_tree(environment, tree)
        except (RecursionError, SyntaxError, MemoryError) as error:  # Python's own limits on nesting
            raise TemplateError("The template nests too deeply.", "Nest fewer brackets and blocks.") from error
        self._template = Template.from_code(environment, code, {})

    def fill(self, values: Mapping[str, object]) -> tuple[Filled, ...]:
        """The pieces of the body with the values in their places.

        Raises MissingVariable; TemplateError, with the line, for whatever else fails.
        """
        text = self._render(values)
        if self.marks is None:
            return (Filled(None, text),)
        parts = re.split(f"([{''.join(self.marks[:3])}])", text)
        roles = [None, *(MARKED_ROLES[self.marks.index(mark)] for mark in parts[1::2])]
        texts = [_lay_out(part, self.marks) for part in parts[::2]]
        return tuple(Filled(role, text) for role, text in zip(roles, texts, strict=True))

    def _render(self, values: Mapping[str, object]) -> str:
        pieces: list[str] = []
        length = 0
        try:
            with limit_work(dict(values)) as work:
                for piece in self._template.generate(values):
                    if not isinstance(piece, str):  # what `{% filter list %}` gives
                        raise TypeError(f"a filter block gives a {type(piece).__name__}, not a text")
                    length += len(piece)
                    work.check_length(length)
                    pieces.append(piece)
        except MissingVariable:
            raise
        except Exception as error:  # filters and methods raise whatever they like
            raise explain_failure(error) from error
        return "".join(pieces)


@lru_cache(maxsize=512)
def compile_body(body: str, marks: Marks | None) -> BodyTemplate:
    """The body as a template; with marks, lines such as `user:` begin sections. Raises TemplateError."""
    return BodyTemplate(body, marks)


def _mark(body: str, marks: Marks | None) -> str:
    """The body with each marker line replaced by its character; newlines stay, and so the line numbers."""
    if marks is None:
        return body
    lines = body.split("\n")
    for number, line in enumerate(lines):
        if match := MARKER.fullmatch(line):
            mark = marks[MARKED_ROLES.index(read_role(match))]
            lines[number] = mark + ("\r" if line.endswith("\r") else "")
    return "\n".join(lines)


def _restore(tree: nodes.Template, blank: str, marks: Marks | None) -> None:
    """Give the text its carriage returns back, and mark line breaks that may be layout."""
    for constant in tree.find_all(nodes.Const):
        if isinstance(constant.value, str) and blank != " ":
            constant.value = constant.value.replace(blank, "\r")
    captures = (nodes.FilterBlock, nodes.AssignBlock, nodes.Macro, nodes.CallBlock)
    blocks = [block for kind in captures for block in tree.find_all(kind)]
    captured = {id(data) for block in blocks for data in block.find_all(nodes.TemplateData)}
    for data in tree.find_all(nodes.TemplateData):
        text = data.data.replace(blank, "\r") if blank != " " else data.data
        data.data = text if marks is None or id(data) in captured else _mark_breaks(text, marks)


def _mark_breaks(text: str, marks: Marks) -> str:
    """Mark the line breaks at both ends of a text and beside role marks."""
    roles = {"", *marks[:3]}  # "" is what stands before the beginning and behind the end

    def mark(found: re.Match[str]) -> str:
        edge = text[found.start() - 1 : found.start()] in roles or text[found.end() : found.end() + 1] in roles
        return found[0].translate({10: marks.newline, 13: marks.carriage}) if edge or not found.start() else found[0]

    return re.sub(r"[\r\n]+", mark, text)


def _lay_out(text: str, marks: Marks) -> str:
    text = text.strip(marks.newline + marks.carriage)
    return text.replace(marks.newline, "\n").replace(marks.carriage, "\r")


def _order_variables(environment: Sandbox, tree: nodes.Template) -> tuple[str, ...]:
    """The variables in order of appearance. `range` and the like are variables where they are not called."""
    asked = find_undeclared(tree)
    called = {id(call.node) for call in tree.find_all(nodes.Call)}
    names = sorted(tree.find_all(nodes.Name), key=lambda node: node.lineno)
    wanted = (
        node.name
        for node in names
        if node.ctx == "load" and not (node.name in environment.functions and id(node) in called)
    )
    return tuple(dict.fromkeys(name for name in wanted if name in asked))


def _name_globals(environment: Sandbox, tree: nodes.Template) -> None:
    """Make what is called of Jinja's globals a thing of its own, so that their names are free for variables."""
    known = find_undeclared(tree) & environment.functions.keys()
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in known:
            function = nodes.Filter(nodes.Const(call.node.name), GLOBAL, [], [], None, None)
            function.set_lineno(call.lineno)
            call.node = function


def _find_guarded(tree: nodes.Template) -> frozenset[str]:
    tests = [test for test in tree.find_all(nodes.Test) if test.name in ("defined", "undefined")]
    filters = [filtered for filtered in tree.find_all(nodes.Filter) if filtered.name in ("default", "d")]
    return frozenset(node.node.name for node in (*tests, *filters) if isinstance(node.node, nodes.Name))
