"""A YAML or JSON text of another tool as plain values."""

from __future__ import annotations

from typing import Any

from workbench.errors import FileError
from workbench.yaml_tree import Opaque, YamlParseError, parse_yaml, to_plain


def parse_text(text: str, where: str) -> Any:
    """The plain values of a text. Raises FileError that names the line."""
    try:
        return _without_opaque(to_plain(parse_yaml(text), strict=False))
    except YamlParseError as error:
        line, message, _ = error.problem
        at = f"{where}:{line}" if line else where
        raise FileError(f"{at}: this is not YAML: {message}.", "Correct the file.") from error


def _without_opaque(value: Any) -> Any:
    """Dates and the like as the text that stands for them."""
    if isinstance(value, dict):
        return {key: _without_opaque(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_opaque(item) for item in value]
    return value.text if isinstance(value, Opaque) else value
