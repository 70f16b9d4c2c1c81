"""The Jinja environment of chat templates, with the names and settings that transformers gives them.

A template comes with a model file from anywhere, so it runs in the sandbox of prompts, whose work is limited.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from jinja2 import Template, TemplateSyntaxError, nodes
from jinja2 import TemplateError as JinjaError
from jinja2.ext import Extension
from jinja2.parser import Parser

from workbench.prompting.instrumentation import MOST_NODES, check_modifiers, count_nodes, has_too_many_tags
from workbench.prompting.sandbox import LimitedEnvironment


class ChatEnvironment(LimitedEnvironment):
    """See the module."""

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _Generation])
        self.filters["tojson"] = self.count_filter("tojson", _to_json)
        self.globals["raise_exception"] = _raise

    def compile_limited(self, source: str) -> Template:
        """A template whose work is counted in each rendering. Raises TemplateSyntaxError."""
        try:
            if has_too_many_tags(self, source) or count_nodes(tree := self.parse(source)) > MOST_NODES:
                raise TemplateSyntaxError(f"it has more than {MOST_NODES:,} parts", 1)
            check_modifiers(tree)
            return self.from_string(tree)
        except (ValueError, SyntaxError, MemoryError) as error:  # Python's limits on numbers and on nesting
            raise TemplateSyntaxError(str(error).partition(";")[0], 1) from error


def format_date(date: object, form: str) -> str:
    """Today in a template's own form; date: the day that is told instead."""
    if not date:
        return datetime.now().strftime(form)
    try:
        return datetime.fromisoformat(str(date)).strftime(form)
    except ValueError as error:
        raise JinjaError(f"expected a date such as 2026-11-30, found {date!r}") from error


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
