"""The Jinja environment of chat templates: the names and settings that transformers gives them, and a limit on work.

A template comes with a model file from anywhere. Its loops and macros are counted, and a product that would be huge is
refused before it is made, so that whatever it does ends soon. Knows nothing of messages.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from jinja2 import Template, nodes
from jinja2 import TemplateError as JinjaError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_STEPS = 1_000_000
"""How many times the loops and macros of one rendering may turn, all together; ten thousand turns take a few each."""

MAX_SIZE = 8_000_000
"""The longest text, list or number in bits that a product may make."""

_STEP = "_count_step"


class ChatEnvironment(ImmutableSandboxedEnvironment):
    """See the module."""

    intercepted_binops = frozenset(["*", "**"])

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _Generation], cache_size=0
        )
        self.filters["tojson"] = _to_json
        self.globals["raise_exception"] = _raise

    def compile_limited(self, source: str) -> Template:
        """A template whose loops `make_counter` counts in each rendering. Raises TemplateSyntaxError."""
        tree = self.parse(source)
        for block in [*tree.find_all(nodes.For), *tree.find_all(nodes.Macro), *tree.find_all(nodes.CallBlock)]:
            name = nodes.Name(_STEP, "load", lineno=block.lineno)
            call = nodes.Call(name, [], [], None, None, lineno=block.lineno)
            vars(block)["body"].insert(0, nodes.ExprStmt(call, lineno=block.lineno))
        return self.from_string(tree)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if _measure(operator, left, right) > MAX_SIZE:
            raise JinjaError(f"{operator} would make more than {MAX_SIZE:,} of something")
        return super().call_binop(context, operator, left, right)


def make_counter() -> dict[str, Callable[[], None]]:
    """What a limited template needs among the values of one rendering."""
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1
        if steps > MAX_STEPS:
            raise JinjaError(f"its loops turn more than {MAX_STEPS:,} times")

    return {_STEP: count}


def format_date(date: object, form: str) -> str:
    """Today in a template's own form; date: the day that is told instead."""
    if not date:
        return datetime.now().strftime(form)
    try:
        return datetime.fromisoformat(str(date)).strftime(form)
    except ValueError as error:
        raise JinjaError(f"the date {date!r} is none such as 2026-11-30") from error


def _measure(operator: str, left: Any, right: Any) -> int:
    """The size of what a product makes: bits of a number, items of a text or list."""
    if isinstance(left, int) and isinstance(right, int):
        return left.bit_length() * abs(right) if operator == "**" else left.bit_length() + right.bit_length()
    if operator == "*":
        sizes = [len(value) if isinstance(value, (str, list, tuple)) else value for value in (left, right)]
        return abs(sizes[0] * sizes[1]) if all(isinstance(size, int) for size in sizes) else 0
    return 0


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
