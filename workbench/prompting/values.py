"""What a template sees of a variable, and the text that stands for it everywhere else.

A variable is text wherever it is shown, stored or edited. In a template it has the type of its column, its default or
its text: a list can be looped over, an object has its fields, `false` is false; printed, they are the text again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

Kind = Literal["string", "integer", "float", "number", "boolean", "array", "object", "thread", "image", "file", "audio"]
"""What Prompty calls the type of an input; `number` is that of version 1."""

_DEEPEST = 100
_TRUTHS = {"true": True, "false": False}


class JsonText(str):
    """A variable's text that is the JSON of a value of another type: `false`, `1.50`, `["red", "green"]`.

    Everything that shows, compares or stores texts takes it as the text it is; a template sees the value.
    """

    __slots__ = ()


class _AsWritten:
    """A value that prints as the text it was read from, or as JSON where it was not read from one."""

    text: str

    def __str__(self) -> str:
        return self.text


class WholeNumber(_AsWritten, int):
    """An integer that prints as it was written."""


class RealNumber(_AsWritten, float):
    """A number that prints as it was written: `1.50` is not 1.5 to a reader."""


class Items(list[Any]):
    """A list that prints as JSON, or as its text where it has one."""

    text: str | None = None

    def __str__(self) -> str:
        return write_value(self)


class Fields(dict[str, Any]):
    """An object that prints as JSON, or as its text where it has one."""

    text: str | None = None

    def __str__(self) -> str:
        return write_value(self)


class Blank(str):
    """A variable that is not filled in: it prints nothing, holds nothing, and every field of it is as blank."""

    __slots__ = ()

    def same(self, *_: Any, **__: Any) -> Blank:
        return self

    def _no(self, _: object) -> bool:
        return False

    __getitem__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __mod__ = __rmod__ = same
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __pow__ = __rpow__ = __neg__ = __pos__ = same
    __lt__ = __le__ = __gt__ = __ge__ = _no


def read_json(text: str) -> Any:
    """The value of a JSON text; the text itself where it is none, or one that cannot be held."""
    try:
        value = json.loads(
            text,
            parse_int=_read_integer,
            parse_float=_read_real,
            parse_constant=_refuse,
            object_hook=Fields,
        )
    except (ValueError, RecursionError):
        return text
    value = _wrap(value, _DEEPEST)
    if value is _TOO_DEEP:
        return text
    if isinstance(value, (Items, Fields)):
        value.text = str(text)
    return value


def read_structure(text: str) -> Any:
    """The list or the object that a text is the JSON of; else the text."""
    bare = text.strip()
    closed = {"[": "]", "{": "}"}
    if not bare or closed.get(bare[0]) != bare[-1]:
        return text
    return read_json(text)


def read_as(text: str, kind: Kind | None) -> Any:
    """What a template sees of a text whose kind may be declared; the text where it is not of that kind."""
    if kind == "string":
        return text
    if kind == "boolean":
        return _TRUTHS.get(text.strip().lower(), text)
    if kind in ("integer", "float", "number"):
        value = read_json(text.strip())
        return value if isinstance(value, (int, float)) and not isinstance(value, bool) else text
    return read_json(text) if isinstance(text, JsonText) else read_structure(text)


def make_value(value: Any) -> Any:
    """A Python value so that it prints as JSON inside a template."""
    if isinstance(value, (Items, Fields)):
        return value
    found = _wrap(value, _DEEPEST)
    return str(value) if found is _TOO_DEEP else found


def write_value(value: Any) -> str:
    """The text of a value: as it was written, else as JSON; nothing for null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list, tuple)):
        text = getattr(value, "text", None)
        return "".join(_write(value)) if text is None else str(text)
    return str(value)


def write_json(value: Any) -> JsonText:
    """The JSON of a value that is not text, as a variable's text."""
    return JsonText("".join(_write(make_value(value))))


def find_characters(value: Any) -> set[str]:
    """Every character that a value can bring into a rendered text, inside lists and objects too."""
    if isinstance(value, (dict, list, tuple)):
        return set(str(value)).union(*_write(value))
    return set(str(value))


class TypedVariables(NamedTuple):
    """Texts, and the names of those that are the JSON of another type."""

    texts: dict[str, str]
    names: tuple[str, ...]


def split_typed(variables: Mapping[str, str], known: tuple[str, ...]) -> TypedVariables | None:
    """Variables of which some are JsonText, as plain texts and names; None where none is. known: names found before."""
    marked = {name for name, text in variables.items() if isinstance(text, JsonText)}
    if not marked:
        return None
    texts = {name: str(text) for name, text in variables.items()}
    return TypedVariables(texts, tuple(name for name in texts if name in marked or name in known))


_TOO_DEEP = object()


def _wrap(value: Any, left: int) -> Any:
    """Lists and objects, all the way down, in the form that prints as JSON."""
    if isinstance(value, (list, tuple)):
        items = [_wrap(item, left - 1) for item in value] if left else [_TOO_DEEP]
        return _TOO_DEEP if any(item is _TOO_DEEP for item in items) else Items(items)
    if isinstance(value, dict):
        fields = {str(key): _wrap(item, left - 1) for key, item in value.items()} if left else {"": _TOO_DEEP}
        return _TOO_DEEP if any(item is _TOO_DEEP for item in fields.values()) else Fields(fields)
    return value


def _write(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield "{"
        for index, (key, item) in enumerate(value.items()):
            yield f"{', ' if index else ''}{json.dumps(str(key), ensure_ascii=False)}: "
            yield from _write(item)
        yield "}"
    elif isinstance(value, (list, tuple)):
        yield "["
        for index, item in enumerate(value):
            if index:
                yield ", "
            yield from _write(item)
        yield "]"
    elif isinstance(value, str):
        yield json.dumps(value, ensure_ascii=False)
    else:
        yield "null" if value is None else write_value(value)


def _read_integer(text: str) -> WholeNumber:
    number = WholeNumber(text)
    number.text = text
    return number


def _read_real(text: str) -> RealNumber:
    number = RealNumber(text)
    number.text = text
    return number


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
