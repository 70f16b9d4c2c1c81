"""Constraints: what an answer must follow, a grammar or a JSON schema, as a person types it and reads it.

Knows nothing of widgets, nor of how an engine follows one; what only the engine can refuse, it refuses by itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, NoReturn

from workbench import files, paths
from workbench.errors import FileError
from workbench.evaluation.bench import Variant
from workbench.json_schemas import SchemaError, check_schema

_ROOT = re.compile(r"^[ \t]*root[ \t]*::=", re.MULTILINE)
_LONGEST = 90
"""Characters of what is told about a schema: it stands on three rows of a narrow panel."""


class MisplacedError(ValueError):
    """What is wrong stands at a line and a column of the typed text, from 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line, self.column = line, column


def read_constraint(name: str, text: str, folder: Path) -> str | dict[str, Any] | None:
    """The `grammar` or `json_schema` that a person typed, or that the file behind an `@` holds.

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
    """GBNF, empty for none. Raises ValueError where it has no beginning."""
    if text.strip() and not _ROOT.search(text):
        raise ValueError("it has no rule `root ::= ...`, where an answer begins.")
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
        raise MisplacedError(f"{where} is not JSON: {error.msg}.", error.lineno, error.colno) from None
    except RecursionError:
        raise ValueError("it is nested too deeply.") from None
    return schema


def write_constraint(value: str | dict[str, Any] | None) -> str:
    """A grammar or a schema as the form shows it."""
    if isinstance(value, dict):
        return json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return value or ""


def show_constraints(variant: Variant, unsupported: Collection[str] = ()) -> str:
    """`json schema · reproducible`: what holds a variant's answers, in a few characters; empty where nothing does.

    unsupported: fields of Sampling that its engine is known not to follow. `refuses` stands before those, because the
    end of the line is what a narrow pane cuts.
    """
    sampling = variant.sampling
    holding = {
        "json_schema": sampling.json_schema is not None,
        "grammar": bool(sampling.grammar),
        "reproducible": variant.reproducible,
    }
    words = [(field, field.replace("_", " ")) for field, holds in holding.items() if holds]
    return " · ".join(f"refuses {word}" if field in unsupported else word for field, word in words)


def _check_schema(schema: dict[str, Any]) -> None:
    try:
        check_schema(schema)
    except SchemaError as error:
        told = str(error)
        raise ValueError(told if len(told) <= _LONGEST else f"{told[:_LONGEST]}…") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON.")
