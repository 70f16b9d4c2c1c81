"""Trees: YAML text as nested values that remember their lines.

Knows nothing of what the values should be.
"""

from __future__ import annotations

import datetime
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSet, TaggedScalar
from ruamel.yaml.constructor import RoundTripConstructor, SafeConstructor
from ruamel.yaml.error import YAMLError

_NAMES: dict[type, str] = {CommentedSet: "a set", bytes: "!!binary"}


class _Exact(RoundTripConstructor):
    """Numbers to the last bit: a round trip by digits is not one by value."""


_Exact.add_constructor("tag:yaml.org,2002:float", SafeConstructor.construct_yaml_float)
_Exact.add_constructor("tag:yaml.org,2002:int", SafeConstructor.construct_yaml_int)


def load_tree(text: str) -> Any:
    """The values of a document. Raises YAMLError, ValueError or RecursionError."""
    yaml = YAML()
    yaml.Constructor = _Exact
    return yaml.load(text)


def to_plain(node: Any, line: int = 1) -> Any:
    """The tree in plain Python values, without what ruamel remembers of their wording.

    Raises YAMLError, with the line, for what JSON could not hold either: sets, bytes, values of a tag of their own,
    and texts with half a character.
    """
    if isinstance(node, dict):
        inner = ((key, value, find_line(node, key, line)) for key, value in node.items())
        return {_to_key(key, at): to_plain(value, at) for key, value, at in inner}
    if isinstance(node, list | tuple):
        return [to_plain(item, find_line(node, index, line)) for index, item in enumerate(node)]
    if isinstance(node, str):
        return _check_text(str(node), line)
    for kind in (bool, int, float):
        if isinstance(node, kind):
            return kind(node)
    if node is None or isinstance(node, datetime.date):
        return node
    name = (
        f"a value tagged {node.tag.value}"
        if isinstance(node, TaggedScalar)
        else _NAMES.get(type(node), type(node).__name__)
    )
    raise YAMLError(f"line {line}: {name} cannot stand here; write a text, a number, a list or a mapping")


def _check_text(text: str, line: int) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise YAMLError(f"line {line}: a text holds half a character ({text[error.start]!a})") from error
    return text


def _to_key(key: Any, line: int) -> Any:
    """A number as a key is text: nobody quotes a token id."""
    return str(key) if isinstance(key, int) and not isinstance(key, bool) else to_plain(key, line)


def find_line(node: Any, key: Any, default: int) -> int:
    """The line, from 1, of a mapping's key or a sequence's item; the default where it has none."""
    try:
        position = node.lc
        return int((position.key(key) if isinstance(node, dict) else position.item(key))[0]) + 1
    except (AttributeError, KeyError, TypeError):
        return default
