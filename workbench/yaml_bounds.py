"""YAML bounds: what a YAML text from anywhere may not do: be huge, grow through its aliases, or hold itself.

Knows ruamel.yaml; nothing of what a text is about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node

MOST_CHARACTERS = 200_000
"""ruamel.yaml reads about 100,000 characters a second."""

MOST_NODES = 100_000
"""Values of a document in which every alias is written out."""

MOST_OPEN = 300
"""Brackets that are open at a time; ruamel.yaml's time grows with their square, and its stack ends at about 200."""

YAML_FAULTS = (
    YAMLError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    AssertionError,
    NotImplementedError,
    RecursionError,
)
"""What ruamel.yaml raises for texts that are no YAML, or not the YAML that it can hold."""

_BRACKETS = re.compile(r"[\[\]{}]")


def check_bounds(text: str) -> None:
    """Raises YAMLError for a text that is too long, or whose aliases make it too large or endless; RecursionError."""
    if len(text) > MOST_CHARACTERS:
        raise YAMLError(f"it is longer than {MOST_CHARACTERS:,} characters")
    opened = 0
    for sign in _BRACKETS.findall(text):
        opened += 1 if sign in "[{" else -1 if opened else 0
        if opened > MOST_OPEN:
            raise YAMLError("it nests too deeply")
    if "*" in text and "&" in text:
        root = YAML().compose(text)
        if root is not None and _Counter().count(root) > MOST_NODES:
            raise YAMLError(f"its aliases make it grow beyond {MOST_NODES:,} values")


def explain_fault(error: Exception) -> str:
    """Why a text is no YAML, on one line and without an end."""
    if isinstance(error, RecursionError):
        return "it nests too deeply"
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200].rstrip(".")


class _Counter:
    """Counts nodes, an alias each time it is used; each node is looked at once."""

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}
        self._open: set[int] = set()

    def count(self, node: Node) -> int:
        known = self._sizes.get(id(node))
        if known is not None:
            return known
        if id(node) in self._open:
            raise YAMLError(f"an alias in line {node.start_mark.line + 1} holds itself")
        self._open.add(id(node))
        size = 1 + sum(self.count(inner) for inner in _list_inner(node))
        self._open.discard(id(node))
        self._sizes[id(node)] = size
        return size


def _list_inner(node: Node) -> Iterator[Node]:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield from (key, value)
    elif isinstance(node, CollectionNode):
        yield from node.value
