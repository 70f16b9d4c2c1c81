"""Plain Python values as YAML text: over several lines, or on one."""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString, SingleQuotedScalarString

_INLINE = ("sampling", "examples_off", "columns", "default")
"""Keys whose values are short enough to stand on one line."""


class _PlainRepresenter(RoundTripRepresenter):
    """Nothing is written as the word, so that it can be found in the text."""


_PlainRepresenter.add_representer(type(None), lambda own, _: own.represent_scalar("tag:yaml.org,2002:null", "null"))


def render_block(value: Any) -> str:
    """The value over several lines, the last one ended. Texts of several lines become blocks."""
    lines = _dump(_style(value))
    if lines.endswith("\n...\n"):  # ruamel ends a document that is one plain value
        lines = lines.removesuffix("...\n")
    if isinstance(value, (list, tuple)):
        return "".join(line.removeprefix("  ") for line in lines.splitlines(keepends=True))
    return lines


def render_inline(value: Any) -> str:
    """The value on one line."""
    if isinstance(value, dict):
        return _dump(_style(value, blocks=False)).strip()
    items = CommentedSeq([_style(value, blocks=False)])
    items.fa.set_flow_style()
    return _dump(items).strip()[1:-1].strip()


def render_quoted(text: str, quote: str) -> str:
    """A text on one line in these quotes, or in double ones where those cannot hold it."""
    single = quote == "'" and text.isprintable()
    items = CommentedSeq([SingleQuotedScalarString(text) if single else DoubleQuotedScalarString(text)])
    items.fa.set_flow_style()
    return _dump(items).strip()[1:-1].strip()


def _dump(tree: Any) -> str:
    yaml = YAML()
    yaml.Representer = _PlainRepresenter
    yaml.width = 1 << 30
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(tree, stream)
    return stream.getvalue()


def _style(value: Any, key: Any = "", blocks: bool = True) -> Any:
    if isinstance(value, dict):
        tree = CommentedMap({_quote(name): _style(item, name, blocks) for name, item in value.items()})
        if key in _INLINE or not blocks:
            tree.fa.set_flow_style()
        return tree
    if isinstance(value, (list, tuple)):
        items = CommentedSeq([_style(item, "", blocks) for item in value])
        if key in _INLINE or not blocks:
            items.fa.set_flow_style()
        return items
    if blocks and isinstance(value, str) and _suits_block(value):
        return LiteralScalarString(value)
    return _quote(value)


def _quote(value: Any) -> Any:
    """Signs that cannot be seen are written as escapes, and what begins like a YAML indicator is quoted: ruamel
    leaves some of them bare and then reads something else."""
    if isinstance(value, str) and (not value.isprintable() or value[:1] in ("?", ":", "-")):
        return DoubleQuotedScalarString(value)
    return value


def _suits_block(text: str) -> bool:
    """Whether a text of several lines survives as a YAML block, where it is easiest to read."""
    lines = text.split("\n")
    plain = all(char.isprintable() or char == "\n" for char in text)
    trimmed = not any(line != line.rstrip() for line in lines)
    return len(lines) > 1 and plain and trimmed and bool(lines[0]) and not lines[0].startswith(" ")
