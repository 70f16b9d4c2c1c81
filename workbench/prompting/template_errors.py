"""What is wrong with a template, with line and column, although Jinja reports the line alone."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from contextlib import contextmanager

from jinja2 import Environment, TemplateSyntaxError, meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.exceptions import TemplateError as JinjaError
from jinja2.parser import Parser

from workbench.errors import TemplateError
from workbench.prompting.instrumentation import MOST_NODES, check_modifiers, has_too_many_tags

FILE = "<template>"
"""The file name that templates are compiled under, by which their frames are found in a traceback."""

_STRANGE = re.compile(r"unexpected char '(.+)' at \d+")
_OUR_MARKS = ("\\ufdd", "\\ufde", "\\U0010f")
"""How Jinja spells the noncharacters that stand for role lines (template.py)."""

_LONGEST_REASON = 500

_HINT = "Correct it there; `{{ name }}` stands for a variable, `{% … %}` for a statement."


def parse(environment: Environment, source: str) -> nodes.Template:
    """The syntax tree of a template. Raises TemplateError with line and column."""
    parser: Parser | None = None
    try:
        if has_too_many_tags(environment, source):
            raise too_many_tags()
        parser = Parser(environment, source, None, FILE)
        tree = parser.parse()
    except TemplateSyntaxError as error:
        offset = _find_failure(environment, source, parser, error)
        reason = _explain(error.message or "syntax error")
        raise _syntax_error(source, reason, error.lineno, offset) from error
    except ValueError as error:  # a number of more digits than Python reads
        raise TemplateError(f"The template cannot be read: {str(error).partition(';')[0]}.", _HINT) from error
    _check_names(environment, tree, source)
    return tree


def too_many_tags() -> TemplateError:
    """The error for a template of more nodes than are compiled."""
    return TemplateError("The template has too many tags.", f"At most {MOST_NODES:,} parts can be compiled.")


def compile_tree(environment: Environment, tree: nodes.Template) -> types.CodeType:
    """The code of a syntax tree. Raises TemplateError, with the line, for what Jinja finds only now."""
    with _as_template_error():
        return environment.compile(tree, filename=FILE)


def find_undeclared(tree: nodes.Template) -> set[str]:
    """The names that a tree takes from its variables. Raises TemplateError as `compile_tree` does."""
    tracker = meta.TrackingCodeGenerator(tree.environment)  # type: ignore[arg-type]
    tracker.optimizer = None  # it would run filters on constants, uncounted
    with _as_template_error():
        check_modifiers(tree)
        tracker.visit(tree)
    return tracker.undeclared_identifiers


@contextmanager
def _as_template_error() -> Iterator[None]:
    try:
        yield
    except TemplateSyntaxError as error:
        where, reason = f"line {error.lineno}", _explain(error.message or "syntax error")
        raise TemplateError(f"Template error at {where}: {reason}.", _HINT, line=error.lineno) from error


def _explain(message: str) -> str:
    """Jinja's words for a person: a role line inside an unclosed tag is a mark of ours, which nobody typed."""
    strange = _STRANGE.fullmatch(message)
    if strange is None:
        return message.rstrip(".")
    if strange[1].startswith(_OUR_MARKS):
        return "a `{{` or `{%` above this line is not closed"
    return f"unexpected character '{strange[1]}'"


def _check_names(environment: Environment, tree: nodes.Template, source: str) -> None:
    """Refuse filters and tests that do not exist, even where they would never be reached."""
    for kind, node_type, known in (
        ("filter", nodes.Filter, environment.filters),
        ("test", nodes.Test, environment.tests),
    ):
        for node in tree.find_all(node_type):
            name = vars(node)["name"]
            if name not in known:
                line = source.split("\n")[node.lineno - 1]
                column = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", line)
                start = sum(len(each) + 1 for each in source.split("\n")[: node.lineno - 1])
                offset = start + column.start() if column else None
                raise _syntax_error(source, f"unknown {kind} `{name}`", node.lineno, offset)


def _find_failure(
    environment: Environment, source: str, parser: Parser | None, error: TemplateSyntaxError
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


def _find_tokens(environment: Environment, source: str) -> tuple[list[int], int, TemplateSyntaxError | None]:
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


def _syntax_error(source: str, reason: str, line: int, offset: int | None) -> TemplateError:
    column = None
    if offset is not None and (source.count("\n", 0, offset) + 1 == line or offset == len(source)):
        line = source.count("\n", 0, offset) + 1
        column = offset - (source.rfind("\n", 0, offset) + 1) + 1
    where = f"line {line}" + (f", column {column}" if column else "")
    return TemplateError(f"Template error at {where}: {reason}.", _HINT, line=line, column=column)


def explain_failure(error: Exception) -> TemplateError:
    """What a template raised while it was filled in, as an error with the line."""
    line = _find_line(error)
    where = f" at line {line}" if line else ""
    reason = str(error).rstrip(".") or type(error).__name__
    if isinstance(error, RecursionError):
        reason = "a macro calls itself without end, or a value nests too deeply"
    hint = "A template can reach its variables and nothing else." if isinstance(error, SecurityError) else ""
    reason = reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}…"
    details = "" if isinstance(error, JinjaError) else f"{type(error).__name__}: {reason}"
    return TemplateError(f"The template fails{where}: {reason}.", hint, details, line=line)


def _find_line(error: BaseException) -> int | None:
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILE:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
