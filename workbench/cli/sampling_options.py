"""The fields of Sampling as options of a command, by the table that the form and the engines go by too."""

from __future__ import annotations

import functools
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from workbench import files
from workbench.errors import PromptError
from workbench.inference.sampling_fields import FIELDS, SamplingField, find_problems
from workbench.inference.types import Sampling

_TYPES: dict[str, Any] = {"number": float, "whole": int, "flag": bool, "choice": str, "grammar": str, "schema": str}


def with_sampling(command: Callable[..., None]) -> Callable[..., None]:
    """A command with an option for each field of Sampling, which it is handed as one `sampling`."""
    own = inspect.signature(command, eval_str=True)

    def carry_out(**given: Any) -> None:
        fields = {field: given.pop(field.name) for field in FIELDS}
        command(**given, sampling=read_sampling({field: value for field, value in fields.items() if value is not None}))

    kept = [parameter for parameter in own.parameters.values() if parameter.name != "sampling"]
    signature = own.replace(parameters=[*kept, *map(_make_option, FIELDS)])
    wrapped: Any = functools.wraps(command)(carry_out)
    del wrapped.__wrapped__  # its signature would be read instead
    wrapped.__signature__ = signature
    wrapped.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    return cast(Callable[..., None], wrapped)


def read_sampling(given: dict[SamplingField, Any]) -> Sampling:
    """The sampling of these options. Raises PromptError that names every one that cannot be used."""
    sampling = Sampling(**{field.name: _read(field, value) for field, value in given.items()})
    if problems := [re.sub(r"^\w+(?= is )", _name_option, problem) for problem in find_problems(sampling)]:
        raise PromptError(f"The options cannot be used: {'; '.join(problems)}.", "Correct them.")
    return sampling


def _name_option(field: re.Match[str]) -> str:
    return f"--{field[0].replace('_', '-')}"


def _make_option(field: SamplingField) -> inspect.Parameter:
    kind = list[str] if field.kind in ("texts", "biases") else _TYPES[field.kind]
    name = f"--{field.name.replace('_', '-')}"
    several = " Repeatable." if kind == list[str] else ""
    help = field.help.replace("; commas between", "").replace(r", \n for a line end", "") + several
    option = typer.Option(name, help=help, metavar=_METAVARS.get(field.kind), rich_help_panel="Sampling")
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


_SCHEMA_HINT = """Expected an object such as {"type": "object"}."""
_METAVARS = {
    "number": "X",
    "whole": "N",
    "choice": "NAME",
    "texts": "TEXT",
    "biases": "TEXT=NUMBER",
    "grammar": "TEXT|@FILE",
    "schema": "JSON|@FILE",
}


def _read(field: SamplingField, value: Any) -> Any:
    if field.kind == "texts":
        return tuple(value)
    if field.kind == "biases":
        return dict(map(_read_bias, value))
    if field.kind not in ("grammar", "schema"):
        return value
    text = files.read_text(Path(value[1:]).expanduser()) if value.startswith("@") else value
    if field.kind == "grammar":
        return text
    try:
        schema = json.loads(text)
    except ValueError as error:
        raise PromptError(f"--json-schema is not JSON: {error}.", _SCHEMA_HINT) from error
    if not isinstance(schema, dict):
        raise PromptError("--json-schema is not an object.", _SCHEMA_HINT)
    return schema


def _read_bias(text: str) -> tuple[str, float]:
    token, given, number = text.rpartition("=")
    try:
        return token, float(number if given else "")
    except ValueError:
        raise PromptError(
            f"--logit-bias {text}: expected TEXT=NUMBER or id:7=NUMBER.", "Write --logit-bias yes=2.5."
        ) from None
