"""Constraints: the grammar or JSON schema of a pane, read from what was typed.

Only syntax is checked here; what an engine does not support, it refuses itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, NoReturn

from workbench import files, paths
from workbench.errors import FileError
from workbench.inference.schema_support import prepare_schema
from workbench.json_schemas import SchemaError
from workbench.runs.bench import Variant

_START = re.compile(r"^[ \t]*(?:root[ \t]*::=|start[ \t]*:|%llguidance)", re.MULTILINE)
_LONGEST = 90
"""characters of an error: it has three rows of a narrow panel"""


class MisplacedError(ValueError):
    """An error at a line and a column of the typed text, from 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line, self.column = line, column


def read_constraint(name: str, text: str, folder: Path) -> str | dict[str, Any] | None:
    """The `grammar` or `json_schema` that was typed, or that the file after an `@` holds.

    folder: where such a file is looked for first. Raises ValueError that says what is wrong.
    """
    read = read_schema if name == "json_schema" else read_grammar
    if not text.lstrip().startswith("@"):
        return read(text)
    named = text.strip()[1:].strip()
    try:
        return read(files.read_text(paths.find_input(named, folder)))
    except FileError as error:
        raise ValueError(error.message) from error
    except ValueError as error:
        raise ValueError(f"{named}: {error}") from error  # its lines are none of the field's


def read_grammar(text: str) -> str:
    """GBNF or Lark, empty for none. Raises ValueError where it has no first rule."""
    if text.strip() and not _START.search(text):
        raise ValueError("expected a rule `root ::= ...` (GBNF) or `start: ...` (Lark).")
    return text if text.strip() else ""


def read_schema(text: str) -> dict[str, Any] | None:
    """A JSON schema, None for an empty text. Raises ValueError that says what is wrong, and where."""
    if not text.strip():
        return None
    try:
        schema = json.loads(text, parse_constant=_refuse_constant)
        if not isinstance(schema, dict):
            raise ValueError('expected an object such as {"type": "object"}.')
        _check_schema(schema)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise MisplacedError(f"{where} is not valid JSON: {error.msg}.", error.lineno, error.colno) from None
    except RecursionError:
        raise ValueError("nested too deeply.") from None
    return schema


def write_constraint(value: str | dict[str, Any] | None) -> str:
    """A grammar or a schema as the form shows it."""
    if isinstance(value, dict):
        return json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return value or ""


def is_constrained(variant: Variant) -> bool:
    """Whether a grammar or a JSON schema holds a variant's answers, or each of them is computed by itself."""
    return bool(_list_constraints(variant)) or variant.deterministic


def list_refused(variant: Variant, unsupported: Collection[str]) -> tuple[str, ...]:
    """`refuses json schema`: the constraints of a variant that its engine does not follow.

    unsupported: fields of Sampling that its engine is known not to follow.
    """
    return tuple(f"refuses {name.replace('_', ' ')}" for name in _list_constraints(variant) if name in unsupported)


def _list_constraints(variant: Variant) -> tuple[str, ...]:
    sampling = variant.sampling
    holding = {"json_schema": sampling.json_schema is not None, "grammar": bool(sampling.grammar)}
    return tuple(name for name, holds in holding.items() if holds)


def _check_schema(schema: dict[str, Any]) -> None:
    try:
        prepare_schema(schema)
    except SchemaError as error:
        text = str(error)
        raise ValueError(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a valid JSON number.")
