"""Nunjucks, promptfoo's template language, in terms of Jinja.

The two share most of their syntax. What Nunjucks writes otherwise is rewritten (`===`, `elseif`, `.length`); what
has no counterpart here is named, so that the loss list can say so. promptfoo's own rules are read from its code:
a missing variable prints nothing, and values print as JavaScript prints them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from jinja2 import ChainableUndefined, TemplateSyntaxError, nodes
from jinja2.exceptions import TemplateError as JinjaError

from workbench.errors import TemplateError
from workbench.library.formats.sections import quote_literal
from workbench.prompting.sandbox import Sandbox
from workbench.prompting.work_limit import limit_work

_TAG = re.compile(r"\{\{-?.*?-?\}\}|\{%-?.*?-?%\}|\{#.*?#\}", re.DOTALL)
_RAW = re.compile(r"\{%-?\s*(raw|verbatim)\s*-?%\}.*?\{%-?\s*end\1\s*-?%\}", re.DOTALL)
_STRING = re.compile(r"(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')", re.DOTALL)
_PARTIAL = re.compile(r"(\{%[^%]*$|\{\{[^}]*$|\{#[^#]*$)", re.MULTILINE)
_ENVIRONMENT = re.compile(r"\benv(?:\.(\w+)|\[\s*[\"'](\w+)[\"']\s*\])")
_REWRITTEN = (
    (re.compile(r"==="), "=="),
    (re.compile(r"!=="), "!="),
    (re.compile(r"\b([A-Za-z_][\w.]*)\.length\b"), r"(\1|length)"),
    (re.compile(r"\bnull\b"), "none"),
    (re.compile(r"\|\s*safe\b"), "| string"),
    (re.compile(r"\|\s*nl2br\b"), "| replace('\\n', '<br />\\n')"),
)
_FILTERS = frozenset(
    [
        "abs",
        "capitalize",
        "d",
        "default",
        "dump",
        "escape",
        "first",
        "float",
        "int",
        "join",
        "last",
        "length",
        "list",
        "load",
        "lower",
        "replace",
        "reverse",
        "round",
        "string",
        "sum",
        "title",
        "trim",
        "upper",
        "urlencode",
        "wordcount",
        "indent",
        "center",
        "striptags",
    ]
)
"""Filters that do the same in both."""

_LOST_TAGS = frozenset({"include", "import", "from", "extends", "block", "asyncEach", "asyncAll", "switch", "call"})


class UntranslatableError(ValueError):
    """What a Nunjucks template uses that has no counterpart here."""


def translate(template: str, environment: Mapping[str, Any] | None = None, partial: bool = True) -> str:
    """The template in Jinja. environment: what the file itself defines as `env`; this machine's is never read.
    partial: whether a text with an unfinished tag is plain text, as promptfoo has it outside JSON.

    Raises UntranslatableError for what has no counterpart.
    """
    if partial and _PARTIAL.search(template) and not _RAW.search(template):
        return quote_literal(template)  # promptfoo takes a text with an unfinished tag as plain text
    pieces, position = [], 0
    for found in _RAW.finditer(template):
        pieces.append(_translate_tags(template[position : found.start()], environment or {}))
        pieces.append(found[0].replace("verbatim", "raw"))
        position = found.end()
    pieces.append(_translate_tags(template[position:], environment or {}))
    text = "".join(pieces)
    _check(text)
    return text


def render_nunjucks(template: str, variables: Mapping[str, Any], environment: Mapping[str, Any] | None = None) -> str:
    """What promptfoo makes of a template. Raises UntranslatableError."""
    if "{" not in template:
        return template
    text = translate(template, environment)
    try:
        with limit_work(dict(variables)):
            return _environment().from_string(text).render(dict(variables))
    except (JinjaError, TemplateError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise UntranslatableError(f"the template {template[:60]!r} fails: {error}") from error


def resolve_variables(variables: dict[str, Any]) -> dict[str, Any]:
    """Variables whose text names others, filled in as promptfoo does it: the first name of each, five times over."""
    found = dict(variables)
    for _ in range(5):
        changed = False
        for name, value in list(found.items()):
            match = re.search(r"\{\{\s*(\w+)\s*\}\}", value, re.ASCII) if isinstance(value, str) else None
            if match and match[1] in found:
                found[name] = value.replace(match[0], write_js(found[match[1]]), 1)
                changed = True
        if not changed:
            break
    return found


def write_js(value: Any) -> str:
    """The text that JavaScript prints for a value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    if isinstance(value, (list, tuple)):
        return ",".join(map(write_js, value))
    return "[object Object]" if isinstance(value, dict) else str(value)


def plain_number(value: Any) -> Any:
    """A value with JavaScript's numbers: 1.0 is 1."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return int(value)
    if isinstance(value, dict):
        return {key: plain_number(item) for key, item in value.items()}
    return [plain_number(item) for item in value] if isinstance(value, list) else value


class _NunjucksSandbox(Sandbox):
    """The sandbox with Nunjucks' rules for what is missing and what is printed."""

    def __init__(self) -> None:
        super().__init__()
        self.undefined = ChainableUndefined
        self.globals = {"range": self.functions["range"]}

    def show(self, value: Any) -> str:
        return "" if isinstance(value, ChainableUndefined) else write_js(value)


def _environment() -> _NunjucksSandbox:
    return _NunjucksSandbox()


def _translate_tags(text: str, environment: Mapping[str, Any]) -> str:
    return _TAG.sub(lambda found: _translate_tag(found[0], environment), text)


def _translate_tag(tag: str, environment: Mapping[str, Any]) -> str:
    if tag.startswith("{#"):
        return tag
    start, end = (3 if tag[2] == "-" else 2), (-3 if tag[-3] == "-" else -2)
    opening, inner, closing = tag[:start], tag[start:end], tag[end:]
    if tag.startswith("{%"):
        inner = re.sub(r"^(\s*)elseif\b", r"\1elif", inner)
        name = inner.split(maxsplit=1)[0] if inner.split() else ""
        if name in _LOST_TAGS:
            raise UntranslatableError(f"the tag {{% {name} %}}")
    pieces = _STRING.split(inner)
    return opening + "".join(p if at % 2 else _translate_code(p, environment) for at, p in enumerate(pieces)) + closing


def _translate_code(code: str, environment: Mapping[str, Any]) -> str:
    def fill(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in environment:
            raise UntranslatableError("an environment variable")
        return json.dumps(write_js(environment[name]), ensure_ascii=False)

    code = _ENVIRONMENT.sub(fill, code)
    for pattern, replacement in _REWRITTEN:
        code = pattern.sub(replacement, code)
    return code


def _check(text: str) -> None:
    """Raise UntranslatableError for a template that would fail here, or do something else."""
    environment = _environment()
    try:
        tree = environment.parse(text)
    except TemplateSyntaxError as error:
        raise UntranslatableError(f"syntax that Jinja does not have ({error.message})") from error
    except RecursionError as error:
        raise UntranslatableError("a template that nests too deeply") from error
    for filtered in tree.find_all(nodes.Filter):
        if filtered.name not in _FILTERS:
            raise UntranslatableError(f"the filter {filtered.name}")
    for call in tree.find_all(nodes.Call):
        if not (isinstance(call.node, nodes.Name) and call.node.name == "range"):
            name = call.node.attr if isinstance(call.node, nodes.Getattr) else getattr(call.node, "name", "a function")
            raise UntranslatableError(f"the JavaScript call {name}()")
    for loop in tree.find_all(nodes.For):
        if isinstance(loop.target, nodes.Tuple):
            raise UntranslatableError("a loop over keys and values")
