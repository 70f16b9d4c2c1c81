"""A YAML or JSON text of another tool as plain values."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from workbench.errors import FileError
from workbench.yaml_tree import Opaque, YamlParseError, parse_yaml, to_plain

_SURROGATE = re.compile("[\ud800-\udfff]")


def parse_text(text: str, where: str) -> Any:
    """The plain values of a text. Raises FileError that names the line.

    JSON is read as JSON: as YAML, its line separators are line breaks, its escaped pairs are halves of a character, and
    a key may not be there twice.
    """
    try:
        return _normalize(json.loads(text.removeprefix("\ufeff"), parse_constant=_refuse_constant))
    except (ValueError, RecursionError):
        pass
    try:
        return _normalize(to_plain(parse_yaml(text), strict=False))
    except YamlParseError as error:
        line, message, _ = error.problem
        at = f"{where}:{line}" if line else where
        raise FileError(f"{at}: this is not YAML: {message}.", "Correct the file.") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _normalize(value: Any) -> Any:
    """Dates and the like as the text that stands for them; two halves of a character as that character, and one alone
    as a replacement character, which no file can hold otherwise."""
    if isinstance(value, dict):
        return {_normalize(key): _normalize(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_normalize(item) for item in value]
    if isinstance(value, str) and _SURROGATE.search(value):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value.text if isinstance(value, Opaque) else value
