"""Jinja without access to Python, files or random numbers, and with a limit on work and memory.

A template may come from anywhere, so whatever it does ends soon: each filter, test, call, operator and iteration
spends what it costs (work_limit.py), and results that would be huge are refused before they are made
(size_estimates.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from jinja2 import StrictUndefined, Undefined, UndefinedError, nodes, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from workbench.prompting.instrumentation import (
    COMPARE,
    GLOBAL,
    JOIN,
    KEY,
    METHOD,
    SEARCH,
    SLICE,
    TICK,
    TURNS,
    instrument,
)
from workbench.prompting.size_estimates import estimate_operation, estimate_size, estimate_units
from workbench.prompting.values import Blank, make_value, write_value
from workbench.prompting.work_limit import CALL, count_items, count_own_units, count_units, current_limit, spend

_DATA = (str, bytes, int, float, list, tuple, dict, range, set, frozenset, type(None))
_QUICK = frozenset({"length", "count", "first", "default", "d", "safe", "items", "list", "last", "attr", "map"})
"""Filters that do not look into what is inside the items."""

_SIMPLE = (int, float, type(None))


class MissingVariable(UndefinedError):
    """Raised inside a template that uses a variable which is not there."""

    def __init__(self, name: str, message: str | None = None) -> None:
        super().__init__(message)
        self.name = name


class LimitedEnvironment(ImmutableSandboxedEnvironment):
    """An environment whose templates are counted while `limit_work` is in force."""

    intercepted_binops = frozenset(["+", "-", "*", "/", "//", "**", "%"])

    def __init__(self, **options: Any) -> None:
        super().__init__(autoescape=False, cache_size=0, optimized=False, finalize=_finalize, **options)
        del self.globals["lipsum"]
        del self.filters["urlize"]
        own = {TURNS: count_items, TICK: _tick, JOIN: self._join, SLICE: _slice, KEY: _compare}
        own |= {COMPARE: _compare, SEARCH: _search, METHOD: self.get_method}
        filters: dict[str, Callable[..., Any]] = self.filters
        self.filters = {name: _count(name, function) for name, function in filters.items()} | own
        tests: Any = self.tests
        self.tests = {name: _count(name, function) for name, function in tests.items()}

    def count_filter(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A filter of that name whose work is counted."""
        return _count(name, function)

    def _generate(self, source: nodes.Template, *rest: Any, **options: Any) -> str:
        return super()._generate(instrument(source), *rest, **options)

    def show(self, value: Any) -> str:
        """What stands in the text for a value."""
        return str(value)

    def _join(self, *values: Any) -> str:
        work = current_limit()
        work.spend(CALL + sum(count_units(value, work.left) for value in values))
        texts = [self.show(value) for value in values]
        work.check_length(sum(map(len, texts)))
        return "".join(texts)

    def get_method(self, obj: Any, name: str) -> Any:
        """What `obj.name(…)` calls."""
        return super().getattr(obj, name)

    def getitem(self, obj: Any, argument: Any) -> Any:
        spend(1 if isinstance(argument, (str, int)) else count_units(argument, current_limit().left))
        return super().getitem(obj, argument)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        work = current_limit()
        work.check_length(estimate_operation(operator, left, right))
        work.spend(CALL)
        if operator == "%" and isinstance(left, str):
            work.spend(count_units(right, work.left))
        if isinstance(left, int) and isinstance(right, int):
            work.spend(left.bit_length() * right.bit_length() >> 22)
        made = super().call_binop(context, operator, left, right)
        work.spend(_count_copy(made))
        return made

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        wrapped = super().wrap_str_format(value)
        return wrapped and partial(_format, value.__self__, wrapped)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        name, owner = getattr(__obj, "__name__", ""), getattr(__obj, "__self__", None)
        if not isinstance(owner, _DATA) or owner is None:
            spend(CALL * 2)
            return super().call(__context, __obj, *args, **kwargs)
        return _run(name, partial(super().call, __context, __obj), (owner, *args), args, kwargs)


class Sandbox(LimitedEnvironment):
    """The environment that prompts are compiled in: a missing variable is an error, and values print as their texts.

    functions: what a template may call by name.
    """

    def __init__(self) -> None:
        super().__init__(undefined=_Missing, keep_trailing_newline=True)
        self.filters |= {name: _print_first(self.filters[name]) for name in _TEXTUAL}
        self.filters["join"] = _print_items(self.filters["join"])
        del self.filters["random"]
        self.filters |= {name: _count(name, function) for name, function in _NUNJUCKS.items()}
        self.functions = {name: self.globals[name] for name in ("range", "dict", "namespace")}
        self.filters[GLOBAL] = self.functions.__getitem__
        self.globals = {}  # their names are free for variables

    def show(self, value: Any) -> str:
        return write_value(value)

    def get_method(self, obj: Any, name: str) -> Any:
        return obj.same if isinstance(obj, Blank) else super().get_method(obj, name)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A field of an object; the methods of texts, lists and objects are no fields, and can only be called."""
        if isinstance(obj, Blank):
            return obj
        if isinstance(obj, dict):
            return obj[attribute] if attribute in obj else self._lacking(obj, attribute)
        if isinstance(obj, _DATA):
            return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(argument, str) and isinstance(obj, _DATA) and not isinstance(obj, (dict, Blank)):
            return self.undefined(obj=obj, name=argument)
        if isinstance(obj, dict) and isinstance(argument, str) and argument not in obj:
            return self._lacking(obj, argument)
        return super().getitem(obj, argument)

    def _lacking(self, obj: dict[Any, Any], name: str) -> Undefined:
        return self.undefined(f"the object has no attribute {name!r}", obj=obj, name=name)


def _dump(value: Any, indent: int | None = None) -> str:
    """The value as JavaScript's JSON.stringify writes it."""
    separators = (",", ": ") if indent else (",", ":")
    return json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)


def _load(text: Any) -> Any:
    """The value that a text is the JSON of; what is no text stays as it is."""
    return make_value(json.loads(text)) if isinstance(text, str) else text


_NUNJUCKS: dict[str, Callable[..., Any]] = {"dump": _dump, "load": _load}
"""Filters of promptfoo's templates that Jinja lacks."""

_TEXTUAL = ("string", "upper", "lower", "capitalize", "title", "trim", "replace", "center", "indent", "wordwrap")
"""Filters that take any value as a text."""


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
    """Count what is put out. It asks for the context so that Jinja works no constants out while it compiles."""
    work = current_limit()
    work.spend(1 if isinstance(value, str) else count_units(value, work.left))
    environment = context.environment
    assert isinstance(environment, LimitedEnvironment)
    return environment.show(value)


def _run(name: str, function: Callable[..., Any], values: tuple[Any, ...], args: Any, kwargs: dict[str, Any]) -> Any:
    """A filter or a method, counted. values: what goes into it."""
    work = current_limit()
    values = (*values, *kwargs.values())
    weight = sum(count_own_units(value) if name in _QUICK else count_units(value, work.left) for value in values)
    work.spend(CALL + weight + estimate_units(name, values, weight))
    work.check_length(estimate_size(name, values))
    made = function(*args, **kwargs)
    if isinstance(made, _SIMPLE):
        return made
    if isinstance(made, Iterator):  # kept as a list: generators inside generators are unwound on the C stack
        return list(count_items(made))
    work.spend(count_own_units(made))
    work.check_length(len(made) if isinstance(made, (str, bytes, list, tuple, dict)) else 0)
    return made


def _count(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    passed = 1 if hasattr(function, "jinja_pass_arg") else 0  # the context or environment that Jinja puts first

    def counted(*args: Any, **kwargs: Any) -> Any:
        values = args[passed:]
        if name == "join" and values and isinstance(values[0], Iterator):
            args = (*args[:passed], list(values[0]), *values[1:])
        return _run(name, function, args[passed:], args, kwargs)

    vars(counted).update(getattr(function, "__dict__", {}))  # Jinja marks some filters by attributes
    return counted


def _print_first(function: Callable[..., Any]) -> Callable[..., Any]:
    passed = 1 if hasattr(function, "jinja_pass_arg") else 0

    def printing(*args: Any, **kwargs: Any) -> Any:
        changed = list(args)
        if len(args) > passed and isinstance(args[passed], (bool, list, dict, tuple, type(None))):
            spend(count_units(args[passed], current_limit().left))
            changed[passed] = write_value(args[passed])
        return function(*changed, **kwargs)

    vars(printing).update(vars(function))
    return printing


def _print_items(function: Callable[..., Any]) -> Callable[..., Any]:
    passed = 1 if hasattr(function, "jinja_pass_arg") else 0

    def printing(*args: Any, **kwargs: Any) -> Any:
        changed = list(args)
        plain = len(args) < passed + 3 and "attribute" not in kwargs
        if plain and len(args) > passed and isinstance(args[passed], (list, tuple)):
            spend(count_units(args[passed], current_limit().left))
            changed[passed] = [write_value(item) for item in args[passed]]
        return function(*changed, **kwargs)

    vars(printing).update(vars(function))
    return printing


def _tick(length: int) -> None:
    """One turn of a loop or one call of a macro that holds a text of that length."""
    spend(CALL + length // 16)


def _slice(value: Any, start: Any, stop: Any, step: Any) -> Any:
    if isinstance(value, Blank):
        return value
    made = value[start:stop:step]
    spend(CALL + _count_copy(made))
    return made


def _count_copy(made: Any) -> int:
    """What it takes to copy: of a list only the references."""
    return count_own_units(made) // 8 + 1 if isinstance(made, (list, tuple)) else count_own_units(made)


def _compare(value: Any) -> Any:
    work = current_limit()
    work.spend(1 if isinstance(value, _SIMPLE) else count_units(value, work.left))
    return value


def _search(value: Any) -> Any:
    return value if isinstance(value, dict) else _compare(value)


def _format(template: str, function: Callable[..., str], *args: Any, **kwargs: Any) -> str:
    return str(_run("format", function, (template, *args), args, kwargs))
