"""YAML text as nested values that remember their lines, within bounds of length, nesting and aliases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSet, TaggedScalar
from ruamel.yaml.constructor import RoundTripConstructor, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

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
_NAMES: dict[type, str] = {CommentedSet: "a set", bytes: "!!binary"}


class YamlProblem(NamedTuple):
    """One thing that is wrong. line: from 1; 0 where it is not known. column: likewise."""

    line: int
    message: str
    column: int = 0


class YamlParseError(ValueError):
    """The text is not YAML, or not YAML that JSON could hold too."""

    def __init__(self, problem: YamlProblem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class WrittenInt(int):
    """An integer and the digits that it was written in."""

    written = ""


class WrittenFloat(float):
    """A number and the digits that it was written in: 1.50 is not 1.5 to a reader."""

    written = ""


class Opaque(NamedTuple):
    """A value that only YAML can hold, such as a set or one with a tag of its own: it can be kept, not changed."""

    name: str
    text: str


class _Constructor(RoundTripConstructor):
    """Numbers to the last bit, because ruamel's own remember digits instead, and dates as the text they are."""

    def construct_int(self, node: ScalarNode) -> WrittenInt:
        number = WrittenInt(SafeConstructor.construct_yaml_int(self, node))
        number.written = node.value
        return number

    def construct_float(self, node: ScalarNode) -> WrittenFloat:
        number = WrittenFloat(SafeConstructor.construct_yaml_float(self, node))
        number.written = node.value
        return number

    def construct_text(self, node: ScalarNode) -> str:
        return str(node.value)


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", _Constructor.construct_text)
_Constructor.add_constructor("tag:yaml.org,2002:float", _Constructor.construct_float)
_Constructor.add_constructor("tag:yaml.org,2002:int", _Constructor.construct_int)


def parse_yaml(text: str) -> Any:
    """The values of a document, which `find_line` and `to_plain` take. Raises YamlParseError."""
    try:
        _check_bounds(text)
        return load_tree(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise YamlParseError(YamlProblem(line, str(error.problem or error.context), column)) from error
    except YAML_FAULTS as error:
        raise YamlParseError(YamlProblem(0, _explain(error))) from error


def load_tree(text: str) -> Any:
    """As `parse_yaml` for a text whose bounds were checked; raises YAML_FAULTS."""
    yaml = YAML()
    yaml.Constructor = _Constructor
    return yaml.load(text)


def to_plain(node: Any, line: int = 1, strict: bool = True) -> Any:
    """The tree in plain Python values, without what ruamel remembers of their wording.

    strict: raises YamlParseError for what JSON could not hold either (sets, bytes, values of a tag of their own, texts
    with half a character); else such a value is Opaque.
    """
    if isinstance(node, dict):
        inner = ((key, value, find_line(node, key, line)) for key, value in node.items())
        return {_to_key(key, at, strict): to_plain(value, at, strict) for key, value, at in inner}
    if isinstance(node, (list, tuple)) and not isinstance(node, Opaque):
        return [to_plain(item, find_line(node, index, line), strict) for index, item in enumerate(node)]
    if isinstance(node, str):
        return _check_text(str(node), line) if strict else str(node)
    for kind in (bool, int, float):
        if isinstance(node, kind):
            return kind(node)
    if node is None:
        return None
    name = f"a value tagged {node.tag.value}" if isinstance(node, TaggedScalar) else _name_of(node)
    if strict:
        raise YamlParseError(
            YamlProblem(line, f"{name} is not supported here; use a string, a number, a list or a mapping")
        )
    return Opaque(name, str(getattr(node, "value", node)))


def find_line(node: Any, key: Any, default: int) -> int:
    """The line, from 1, of a mapping's key or a sequence's item; the default where it has none."""
    try:
        position = node.lc
        return int((position.key(key) if isinstance(node, dict) else position.item(key))[0]) + 1
    except (AttributeError, KeyError, TypeError):
        return default


def _name_of(node: Any) -> str:
    return _NAMES.get(type(node), type(node).__name__)


def _check_text(text: str, line: int) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise YamlParseError(YamlProblem(line, f"a text contains a lone surrogate ({text[error.start]!a})")) from error
    return text


def _to_key(key: Any, line: int, strict: bool) -> Any:
    """A number as a key is its text; yaml_document refuses it where that would be ambiguous."""
    if isinstance(key, int) and not isinstance(key, bool):
        return str(int(key))
    plain = to_plain(key, line, strict)
    return str(plain) if isinstance(plain, (dict, list)) else plain


def _check_bounds(text: str) -> None:
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


def _explain(error: Exception) -> str:
    """Why a text is not YAML, on one line and without an end."""
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
        size = 1 + sum(self.count(inner) for inner in list_inner(node))
        self._open.discard(id(node))
        self._sizes[id(node)] = size
        return size


def list_inner(node: Node) -> Iterator[Node]:
    """The keys and values, or the items, of a node."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield from (key, value)
    elif isinstance(node, CollectionNode):
        yield from node.value


def list_scalars(node: Node) -> Iterator[ScalarNode]:
    """Every scalar in a node, itself included."""
    if isinstance(node, ScalarNode):
        yield node
    for inner in list_inner(node):
        yield from list_scalars(inner)
