"""JSON schemas from a user's files: checked before they are used, and applied within limits.

No schema is ever fetched. A schema can ask for unbounded work (parts that refer to one another twice each, patterns
that backtrack), so each keyword checks the clock, and patterns are matched by `regex`, which has a timeout, not `re`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from workbench.patterns import PatternError, compile_pattern, search

MOST_PARTS = 10_000
"""Values in a schema, its keys not counted."""

DEEPEST = 60
"""Levels of a schema; jsonschema needs about ten calls for each."""

_SECONDS = 1.0
_LONGEST = 300  # characters of a message
Schema = dict[str, Any] | bool


class SchemaError(ValueError):
    """What is wrong with a schema, or why it cannot be applied, on one line."""


def check_schema(schema: Schema) -> None:
    """Raises SchemaError for what is no JSON schema, or more than can be applied."""
    from jsonschema import FormatChecker
    from jsonschema.exceptions import SchemaError as Refused

    parts = _list_parts(schema)
    _check_patterns(parts)
    try:
        _choose_validator(schema).check_schema(schema, format_checker=FormatChecker(()))  # `regex` is checked above
    except Refused as error:
        raise SchemaError(_shorten(f"{error.json_path}: {error.message}")) from error
    except RecursionError as error:
        raise SchemaError("it nests too deeply") from error


def find_problems(schema: Schema, value: Any, seconds: float = _SECONDS) -> list[str]:
    """What of a value is not as a checked schema says, each with its place. Raises SchemaError if it cannot be told."""
    from jsonschema.exceptions import UnknownType
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    try:
        kind = _limit(_choose_validator(schema), time.monotonic() + seconds)
        errors = kind(schema, registry=Registry()).iter_errors(value)
        return [_shorten(f"{error.json_path}: {error.message}") for error in errors]
    except Unresolvable as error:
        raise SchemaError(_shorten(f"a reference leads nowhere, and none is fetched: {error}")) from error
    except PatternError as error:
        raise SchemaError(f"a pattern: {error}") from error
    except TimeoutError as error:
        raise SchemaError(f"it takes longer than {seconds:g} s to apply") from error
    except RecursionError as error:
        raise SchemaError("it refers to itself without end, or nests too deeply") from error
    except (UnknownType, ArithmeticError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise SchemaError(_shorten(f"{type(error).__name__}: {error}")) from error  # keywords where no check looked


def _choose_validator(schema: Schema) -> Any:
    from jsonschema.validators import Draft202012Validator, validator_for

    named = schema.get("$schema") if isinstance(schema, dict) else None
    if named is not None and not isinstance(named, str):
        raise SchemaError("$.$schema: expected the URL of a draft, as a string")
    return validator_for(schema, default=Draft202012Validator)


def _list_parts(schema: Schema) -> list[dict[str, Any]]:
    """Every object in a schema. Raises SchemaError for one that is too large or too deep."""
    found: list[dict[str, Any]] = []
    level: list[Any] = [schema]
    count = 0
    for _ in range(DEEPEST):
        count += len(level)
        if count > MOST_PARTS:
            raise SchemaError(f"it has more than {MOST_PARTS:,} values")
        found += (part for part in level if isinstance(part, dict))
        level = [inner for part in level for inner in _list_inner(part)]
        if not level:
            return found
    raise SchemaError(f"it nests deeper than {DEEPEST} levels")


def _list_inner(part: Any) -> Any:
    return part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()


def _check_patterns(parts: list[dict[str, Any]]) -> None:
    by_name = [part["patternProperties"] for part in parts if isinstance(part.get("patternProperties"), dict)]
    patterns = [part["pattern"] for part in parts if isinstance(part.get("pattern"), str)]
    for pattern in [*patterns, *(name for names in by_name for name in names)]:
        try:
            compile_pattern(pattern)
        except PatternError as error:
            raise SchemaError(_shorten(f"pattern {pattern[:80]!r}: {error}")) from error
    if by_name and any("unevaluatedProperties" in part for part in parts):  # jsonschema matches these by itself
        raise SchemaError(
            "patternProperties and unevaluatedProperties cannot be used together; use additionalProperties"
        )


def _limit(kind: Any, end: float) -> Any:
    """A validator whose keywords look at the clock. end: by time.monotonic."""
    from jsonschema.validators import extend

    own = {
        "pattern": _match_pattern,
        "patternProperties": _match_names,
        "additionalProperties": _match_others,
        "uniqueItems": _match_unique,
    }
    keywords = {**kind.VALIDATORS, **{name: own[name] for name in own if name in kind.VALIDATORS}}
    limited = extend(kind, {name: _watch(keyword, end) for name, keyword in keywords.items()})
    limited.evolve = _evolve  # jsonschema's own goes back to the kind that `$schema` names
    return limited


def _evolve(self: Any, **changes: Any) -> Any:
    import attrs

    return attrs.evolve(self, **changes)


def _watch(keyword: Callable[..., Any], end: float) -> Callable[..., Iterator[Any]]:
    def timed(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[Any]:
        for error in keyword(validator, wanted, value, schema) or ():
            if time.monotonic() > end:
                raise TimeoutError
            yield error
        if time.monotonic() > end:
            raise TimeoutError

    return timed


def _match_pattern(validator: Any, pattern: str, value: Any, _: Any) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    if validator.is_type(value, "string") and not search(pattern, value, _SECONDS):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _match_names(validator: Any, patterns: dict[str, Any], value: Any, _: Any) -> Iterator[Any]:
    if not validator.is_type(value, "object"):
        return
    for pattern, inner in patterns.items():
        for name, held in value.items():
            if search(pattern, name, _SECONDS):
                yield from validator.descend(held, inner, path=name, schema_path=pattern)


def _match_others(validator: Any, inner: Any, value: Any, schema: dict[str, Any]) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    if not validator.is_type(value, "object"):
        return
    patterns = schema.get("patternProperties", {})
    for name, held in value.items():
        if name in schema.get("properties", {}) or any(search(pattern, name, _SECONDS) for pattern in patterns):
            continue
        if inner is False:
            yield ValidationError(f"{name!r} is not expected here")
        else:
            yield from validator.descend(held, inner, path=name)


def _match_unique(validator: Any, wanted: bool, value: Any, _: Any) -> Iterator[Any]:
    """jsonschema compares every item with every other."""
    from jsonschema.exceptions import ValidationError

    if wanted and validator.is_type(value, "array") and len({_freeze(item) for item in value}) < len(value):
        yield ValidationError("duplicate item")


def _freeze(value: Any) -> object:
    """What is equal for values that JSON Schema calls equal: 1 and 1.0, but not 1 and true."""
    if isinstance(value, dict):
        return frozenset((name, _freeze(held)) for name, held in value.items())
    if isinstance(value, list):
        return tuple(map(_freeze, value))
    return (type(value), value) if isinstance(value, (bool, str)) else value


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
