"""Trees: YAML text as nested values that remember their lines.

Knows nothing of what the values should be.
"""

from __future__ import annotations

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import RoundTripConstructor, SafeConstructor


class _Exact(RoundTripConstructor):
    """Numbers to the last bit: a round trip by digits is not one by value."""


_Exact.add_constructor("tag:yaml.org,2002:float", SafeConstructor.construct_yaml_float)
_Exact.add_constructor("tag:yaml.org,2002:int", SafeConstructor.construct_yaml_int)


def load_tree(text: str) -> Any:
    """The values of a document. Raises YAMLError, ValueError or RecursionError."""
    yaml = YAML()
    yaml.Constructor = _Exact
    return yaml.load(text)


def to_plain(node: Any) -> Any:
    """The tree in plain Python values, without what ruamel remembers of their wording."""
    if isinstance(node, dict):
        return {_to_key(key): to_plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [to_plain(item) for item in node]
    for kind in (bool, str, int, float):
        if isinstance(node, kind):
            return kind(node)
    return node


def _to_key(key: Any) -> Any:
    """A number as a key is text: nobody quotes a token id."""
    return str(key) if isinstance(key, int) and not isinstance(key, bool) else to_plain(key)


def find_line(node: Any, key: Any, default: int) -> int:
    """The line, from 1, of a mapping's key or a sequence's item; the default where it has none."""
    try:
        position = node.lc
        return int((position.key(key) if isinstance(node, dict) else position.item(key))[0]) + 1
    except (AttributeError, KeyError, TypeError):
        return default
