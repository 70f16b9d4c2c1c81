"""Template: a prompt's body compiled once, filled in safely many times.

Knows Jinja and its sandbox, where in the body something went wrong, and how to keep a template from running
away. Knows nothing of roles' order, of examples or of files.

The body is compiled whole. A role marker becomes one character that is neither in the body nor in any value,
so a value can bring no role; and values are never compiled, so a value can bring no template.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import islice
from typing import Any, NamedTuple

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.exceptions import TemplateError as JinjaError
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from workbench.errors import TemplateError
from workbench.prompting.prompt import Role

MARKER = re.compile(
    r"[ \t]*#*[ \t]*(system|user|assistant)(?:\[[^\]\r\n]*\])?[ \t]*:[ \t]*\r?", re.IGNORECASE
)
"""A whole line, without its newline, that begins a role's section."""

MAX_CHARACTERS = 8_000_000
"""The longest text one rendering may give."""

MAX_STEPS = 200_000
"""How many times the loops and macros of one rendering may turn, all together."""

MARKED_ROLES: tuple[Role, ...] = ("system", "user", "assistant")
_TICK = "_tick"
_FILE = "<template>"
_UNPREDICTABLE = ("lipsum", "cycler", "joiner")
_BLANKS = "\x1c\x1d\x1e\x1f\x0b\x0c\x85\u2028\u2029\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u3000"
_WIDE = re.compile(r"\d{7,}")


class MissingVariable(UndefinedError):
    """Raised inside a template that uses a variable which is not there."""

    def __init__(self, name: str, message: str | None = None) -> None:
        super().__init__(message)
        self.name = name


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


def choose_marks(texts: Sequence[str]) -> Marks:
    """Characters that occur in none of the texts: Unicode's non-characters, else private ones."""
    codes = (code for block in (range(0xFDD0, 0xFDF0), range(0x10F000, 0x10FFFE)) for code in block)
    free = (mark for mark in map(chr, codes) if not any(mark in text for text in texts))
    return Marks(*islice(free, 5))


def read_role(marker: re.Match[str]) -> Role:
    """The role that a marker line names."""
    return next(role for role in MARKED_ROLES if role == marker[1].lower())


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
        environment = _Sandbox()
        blank = next((character for character in _BLANKS if character not in body), " ")
        tree = _parse(environment, _mark(body, marks).replace("\r", blank), body)
        self.guarded = _find_guarded(tree)
        try:
            self.variables = _order_variables(environment, tree)
            _restore(tree, blank, marks)
            _count_steps(tree)
            code = environment.compile(tree, filename=_FILE)
        except TemplateSyntaxError as error:  # an unknown filter or test
            raise _syntax_error(error, body, None) from error
        self._template = Template.from_code(environment, code, environment.make_globals(None))

    def fill(self, values: Mapping[str, object]) -> tuple[Filled, ...]:
        """The pieces of the body with the values in their places.

        Raises MissingVariable; TemplateError, with the line, for whatever else fails.
        """
        text = self._render({**values, _TICK: _make_tick()})
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
            for piece in self._template.generate(values):
                length += len(piece)
                if length > MAX_CHARACTERS:
                    raise _Runaway(f"The text grows beyond {MAX_CHARACTERS:,} characters")
                pieces.append(piece)
        except MissingVariable:
            raise
        except Exception as error:
            raise _runtime_error(error) from error
        return "".join(pieces)


@lru_cache(maxsize=512)
def compile_body(body: str, marks: Marks | None) -> BodyTemplate:
    """The body as a template; with marks, lines such as `user:` begin sections. Raises TemplateError."""
    return BodyTemplate(body, marks)


class _Runaway(TemplateRuntimeError):
    """The template would run for too long, or give too much."""


class _Missing(StrictUndefined):
    """An undefined value whose error says which variable it was."""

    __slots__ = ()

    def __init__(
        self, hint: str | None = None, obj: Any = missing, name: str | None = None, exc: Any = UndefinedError
    ) -> None:
        if obj is missing and name is not None and exc is UndefinedError:
            exc = partial(MissingVariable, name)
        super().__init__(hint, obj, name, exc)


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja without access to Python, to files, to chance, or to much memory."""

    intercepted_binops = frozenset(["*", "**", "%"])

    def __init__(self) -> None:
        super().__init__(undefined=_Missing, keep_trailing_newline=True, autoescape=False, cache_size=0)
        for name in _UNPREDICTABLE:
            del self.globals[name]
        del self.filters["random"]
        for name in ("center", "indent", "format", "wordwrap"):
            self.filters[name] = _limit(self.filters[name])

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**":
            _check_size(
                abs(right) * abs(left).bit_length() if isinstance(left, int) and isinstance(right, int) else 0
            )
        elif operator == "*":
            for text, times in ((left, right), (right, left)):
                if isinstance(times, int) and isinstance(text, str | list | tuple):
                    _check_size(len(text) * times)
        elif isinstance(left, str):
            _check_arguments((left, right))
        return super().call_binop(context, operator, left, right)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        _check_arguments((getattr(value, "__self__", None),))
        return super().wrap_str_format(value)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        _check_arguments((getattr(__obj, "__self__", None), *args, *kwargs.values()))
        return super().call(__context, __obj, *args, **kwargs)


def _limit(function: Callable[..., Any]) -> Callable[..., Any]:
    def limited(*args: Any, **kwargs: Any) -> Any:
        _check_arguments((*args, *kwargs.values()))
        return function(*args, **kwargs)

    vars(limited).update(vars(function))  # Jinja's pass_environment and the like are attributes
    return limited


def _check_arguments(values: tuple[Any, ...]) -> None:
    for value in values:
        if isinstance(value, int):
            _check_size(abs(value))
        elif isinstance(value, str) and ("%" in value or "{" in value) and len(value) < 10_000:
            for width in re.findall(r"[%{][^%{}\s]*?(\d{7,})", value):
                _check_size(int(width[:12]))


def _check_size(size: int) -> None:
    if size > MAX_CHARACTERS:
        raise _Runaway(f"An operation would make something of size {size:,}, more than {MAX_CHARACTERS:,}")


def _make_tick() -> Callable[[], str]:
    steps = 0

    def tick() -> str:
        nonlocal steps
        steps += 1
        if steps > MAX_STEPS:
            raise _Runaway(f"The loops turn more than {MAX_STEPS:,} times")
        return ""

    return tick


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


def _parse(environment: _Sandbox, source: str, body: str) -> nodes.Template:
    parser: Parser | None = None
    try:
        parser = Parser(environment, source, None, _FILE)
        return parser.parse()
    except TemplateSyntaxError as error:
        offset = _find_failure(environment, source, parser, error)
        raise _syntax_error(error, body, offset) from error
    except RecursionError as error:
        raise TemplateError(
            "The template nests too deeply.", "Use fewer brackets or blocks in one another."
        ) from error


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
    roles = "".join(marks[:3])
    edges = rf"\A[\r\n]+|[\r\n]+\Z|[\r\n]+(?=[{roles}])|(?<=[{roles}])[\r\n]+"
    return re.sub(edges, lambda found: found[0].translate({10: marks.newline, 13: marks.carriage}), text)


def _lay_out(text: str, marks: Marks) -> str:
    text = text.strip(marks.newline + marks.carriage)
    return text.replace(marks.newline, "\n").replace(marks.carriage, "\r")


def _count_steps(tree: nodes.Template) -> None:
    """Let every turn of a loop and every call of a macro be counted; see MAX_STEPS."""
    for block in [*tree.find_all(nodes.For), *tree.find_all(nodes.Macro), *tree.find_all(nodes.CallBlock)]:
        tick = nodes.Call(nodes.Name(_TICK, "load"), [], [], None, None)
        step = nodes.ExprStmt(tick).set_lineno(block.lineno)
        vars(block)["body"].insert(0, step)


def _order_variables(environment: _Sandbox, tree: nodes.Template) -> tuple[str, ...]:
    asked = meta.find_undeclared_variables(tree) - environment.globals.keys()
    names = sorted(tree.find_all(nodes.Name), key=lambda node: node.lineno)
    return tuple(dict.fromkeys(node.name for node in names if node.ctx == "load" and node.name in asked))


def _find_guarded(tree: nodes.Template) -> frozenset[str]:
    tests = [test for test in tree.find_all(nodes.Test) if test.name in ("defined", "undefined")]
    filters = [filtered for filtered in tree.find_all(nodes.Filter) if filtered.name in ("default", "d")]
    return frozenset(node.node.name for node in (*tests, *filters) if isinstance(node.node, nodes.Name))


def _find_failure(
    environment: _Sandbox, source: str, parser: Parser | None, error: TemplateSyntaxError
) -> int | None:
    """Where in the source the parser stopped: Jinja says the line alone, so the tokens left are counted."""
    starts, end, lexing = _find_tokens(environment, source)
    if parser is None or (lexing is not None and lexing.message == error.message):
        return end
    left = 0
    try:
        while not parser.stream.eos:
            left += 1
            next(parser.stream)
    except TemplateSyntaxError:
        left = max(left, 1)
    index = len(starts) - left
    return starts[index] if 0 <= index < len(starts) else len(source)


def _find_tokens(environment: _Sandbox, source: str) -> tuple[list[int], int, TemplateSyntaxError | None]:
    """Where the tokens that a parser sees begin, where the last one ends, and what stopped the lexer."""
    ignored = {"whitespace", "comment_begin", "comment", "comment_end", "raw_begin", "raw_end", "linecomment"}
    starts: list[int] = []
    end = 0
    try:
        for _, kind, text in environment.lex(source):
            start = source.find(text, end)  # whitespace that `{%-` takes away is in no token
            end = start + len(text)
            if kind not in ignored:
                starts.append(start)
    except TemplateSyntaxError as error:
        return starts, end, error
    return starts, end, None


def _syntax_error(error: TemplateSyntaxError, body: str, offset: int | None) -> TemplateError:
    line, column = error.lineno, None
    if offset is not None and body.count("\n", 0, offset) + 1 == line:
        column = offset - (body.rfind("\n", 0, offset) + 1) + 1
    elif name := re.search(r"named '([^']*)'", error.message or ""):
        column = body.split("\n")[line - 1].find(name[1]) + 1 or None
    place = f"line {line}" + (f", column {column}" if column else "")
    return TemplateError(
        f"The template is wrong at {place}: {(error.message or 'syntax error').rstrip('.')}.",
        "Correct it there; `{{ name }}` stands for a variable, `{% … %}` for a statement.",
        line=line,
        column=column,
    )


def _runtime_error(error: Exception) -> TemplateError:
    line = _find_line(error)
    place = f" at line {line}" if line else ""
    reason = str(error).rstrip(".") or type(error).__name__
    if isinstance(error, RecursionError):
        reason = "a macro calls itself without end"
    hint = "A template can reach its variables and nothing else." if isinstance(error, SecurityError) else ""
    details = "" if isinstance(error, JinjaError) else f"{type(error).__name__}: {error}"
    return TemplateError(f"The template fails{place}: {reason}.", hint, details, line=line)


def _find_line(error: BaseException) -> int | None:
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _FILE:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
