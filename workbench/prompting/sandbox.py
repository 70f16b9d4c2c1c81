"""Sandbox: Jinja without access to Python, to files or to chance, and with a limit on work and memory.

Knows Jinja; nothing of prompts. A template may come from anywhere, so whatever it does ends soon: an operation that
would make something huge is refused before it is carried out, and loops and macros count their turns.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from jinja2 import StrictUndefined, UndefinedError, nodes, pass_context
from jinja2.exceptions import TemplateRuntimeError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing
from jinja2.visitor import NodeTransformer

from workbench.prompting.values import Blank, write_value

MAX_CHARACTERS = 8_000_000
"""The longest text that a template may make."""

MAX_STEPS = 200_000
"""How many times the loops and macros of one rendering may turn, all together."""

_TICK = "_tick"
_JOIN = "_join"
_METHOD = "_method"
_DATA = (str, bytes, int, float, list, tuple, dict, range, set, frozenset, type(None))
_CHANCE = ("lipsum", "cycler", "joiner")
_WIDENERS = frozenset({"ljust", "rjust", "center", "zfill", "batch", "slice", "round", "to_bytes", "truncate"})
_MULTIPLIERS = frozenset({"replace", "join", "indent", "expandtabs", "translate", "wordwrap"})
_WIDTH = re.compile(r"[%{][^%{}\s]*?(\d{1,12})")
_WIDTH_BY_ARGUMENT = re.compile(r"%[^%\s]*\*|\{[^{}]*:[^{}]*\{")


class Runaway(TemplateRuntimeError):
    """The template would run for too long, or make too much."""


class MissingVariable(UndefinedError):
    """Raised inside a template that uses a variable which is not there."""

    def __init__(self, name: str, message: str | None = None) -> None:
        super().__init__(message)
        self.name = name


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment that prompts are compiled in."""

    intercepted_binops = frozenset(["+", "*", "**", "%"])

    def __init__(self) -> None:
        super().__init__(
            undefined=_Missing, keep_trailing_newline=True, autoescape=False, cache_size=0, finalize=_finalize
        )
        for name in _CHANCE:
            del self.globals[name]
        del self.filters["random"]
        self.filters = {name: _limit(name, function) for name, function in self.filters.items()}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A field of an object; the methods of texts, lists and objects are no fields, and can only be called."""
        if isinstance(obj, Blank):
            return obj
        if isinstance(obj, dict):
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        if isinstance(obj, _DATA):
            return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if not isinstance(obj, _DATA):
            return super().getitem(obj, argument)
        try:
            found: Any = obj  # one of _DATA, which mypy cannot subscript
            return found[argument]
        except (TypeError, LookupError):
            return self.undefined(obj=obj, name=argument)

    def get_method(self, obj: Any, name: str) -> Any:
        """What `obj.name(…)` calls."""
        if isinstance(obj, Blank):
            return obj.same
        return super().getattr(obj, name)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "%":
            _check_arguments("%", (left, right))
        else:
            _check_size(_estimate(operator, left, right))
        return super().call_binop(context, operator, left, right)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        wrapped = super().wrap_str_format(value)
        return wrapped and partial(_format, value.__self__, wrapped)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        name = getattr(__obj, "__name__", "")
        _check_arguments(name, (getattr(__obj, "__self__", None), *args, *kwargs.values()))
        return _check_result(super().call(__context, __obj, *args, **kwargs))


def limit(tree: nodes.Template) -> nodes.Template:
    """The tree with its loops and macros counted and its `~` measured."""
    limited: nodes.Template = _Limiter().visit(tree)
    for block in [*tree.find_all(nodes.For), *tree.find_all(nodes.Macro), *tree.find_all(nodes.CallBlock)]:
        step = nodes.ExprStmt(_call(_TICK, [], block.lineno)).set_lineno(block.lineno)
        vars(block)["body"].insert(0, step)
    return limited


def make_limits(environment: Sandbox) -> dict[str, Callable[..., Any]]:
    """What a limited template needs among the values of one rendering."""
    steps = 0

    def tick() -> None:
        nonlocal steps
        steps += 1
        if steps > MAX_STEPS:
            raise Runaway(f"the loops turn more than {MAX_STEPS:,} times")

    return {_TICK: tick, _JOIN: _join, _METHOD: environment.get_method}


class _Missing(StrictUndefined):
    """An undefined value whose error says which variable it was."""

    __slots__ = ()

    def __init__(
        self, hint: str | None = None, obj: Any = missing, name: str | None = None, exc: Any = UndefinedError
    ) -> None:
        if obj is missing and name is not None and exc is UndefinedError:
            exc = partial(MissingVariable, name)
        super().__init__(hint, obj, name, exc)


@pass_context
def _finalize(context: Context, value: Any) -> str:
    """What stands in the text for a value. It asks for the context so that Jinja works no constants out early."""
    return write_value(value)


class _Limiter(NodeTransformer):
    """`a ~ b` is no operator to the sandbox: it becomes a call; and so does looking a method up."""

    def visit_Call(self, node: nodes.Call) -> nodes.Node:
        self.generic_visit(node)
        if isinstance(node.node, nodes.Getattr):
            name = nodes.Const(node.node.attr)
            node.node = _call(_METHOD, [node.node.node, name], node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _call(_JOIN, node.nodes, node.lineno)


def _call(name: str, arguments: list[nodes.Expr], line: int) -> nodes.Call:
    call = nodes.Call(nodes.Name(name, "load"), arguments, [], None, None)
    call.set_lineno(line)
    return call


def _join(*values: Any) -> str:
    texts = [write_value(value) for value in values]
    _check_size(sum(map(len, texts)))
    return "".join(texts)


def _format(template: str, function: Callable[..., str], *args: Any, **kwargs: Any) -> str:
    _check_arguments("format", (template, *args, *kwargs.values()))
    return function(*args, **kwargs)


def _limit(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def limited(*args: Any, **kwargs: Any) -> Any:
        _check_arguments(name, (*args, *kwargs.values()))
        return _check_result(function(*args, **kwargs))

    vars(limited).update(getattr(function, "__dict__", {}))  # Jinja marks some filters by attributes
    return limited


def _estimate(operator: str, left: Any, right: Any) -> int:
    """The size of what an operation would make; 0 where that cannot be large."""
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length()
        return {"**": abs(right) * bits, "*": right.bit_length() + bits}.get(operator, 0)
    if operator == "+":
        return _measure(left) + _measure(right)
    if operator == "*":
        return max(_measure(left), 1) * abs(right if isinstance(right, int) else left if isinstance(left, int) else 1)
    return 0


def _measure(value: Any) -> int:
    return len(value) if isinstance(value, str | list | tuple | dict) else 0


def _check_arguments(name: str, values: tuple[Any, ...]) -> None:
    numbers = [abs(value) for value in _flatten(values) if isinstance(value, int)]
    if name in ("format", "%"):
        widths = [int(width) for text in values if isinstance(text, str) for width in _WIDTH.findall(text)]
        if any(isinstance(text, str) and _WIDTH_BY_ARGUMENT.search(text) for text in values):
            widths += numbers
        _check_size(sum(widths))
    if name in _WIDENERS:
        _check_size(max(numbers, default=0))
    if name in _MULTIPLIERS:
        sizes = [*numbers, *map(_measure, values)]
        _check_size(math.prod(size for size in sizes if size) // 100)  # not every letter is multiplied


def _flatten(values: tuple[Any, ...]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, tuple):
            yield from _flatten(value)
        else:
            yield value


def _check_result(value: Any) -> Any:
    _check_size(_measure(value))
    return value


def _check_size(size: int) -> None:
    if size > MAX_CHARACTERS:
        raise Runaway(f"it would make something of size {size:,}; at most {MAX_CHARACTERS:,} are allowed")
