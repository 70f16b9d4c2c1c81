"""Layout: plain values as YAML, in the form a person would write them.

Knows nothing of what the values are for, save which keys are short enough to stand on one line.
"""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

_INLINE = ("sampling", "examples_off", "columns")


class _Plain(RoundTripRepresenter):
    """Nothing is written as the word, so that it has a place of its own in the text."""


_Plain.add_representer(type(None), lambda own, _: own.represent_scalar("tag:yaml.org,2002:null", "null"))


def render_block(value: Any) -> str:
    """The value over several lines, the last one ended. Texts of several lines become blocks."""
    lines = _dump(_lay_out(value))
    if lines.endswith("\n...\n"):  # ruamel ends a document that is one plain value
        lines = lines.removesuffix("...\n")
    if isinstance(value, (list, tuple)):
        return "".join(line.removeprefix("  ") for line in lines.splitlines(keepends=True))
    return lines


def render_inline(value: Any) -> str:
    """The value on one line."""
    if isinstance(value, dict):
        return _dump(_lay_out(value, blocks=False)).strip()
    items = CommentedSeq([_lay_out(value, blocks=False)])
    items.fa.set_flow_style()
    return _dump(items).strip()[1:-1].strip()


def _dump(tree: Any) -> str:
    yaml = YAML()
    yaml.Representer = _Plain
    yaml.width = 1 << 30
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(tree, stream)
    return stream.getvalue()


def _lay_out(value: Any, key: Any = "", blocks: bool = True) -> Any:
    if isinstance(value, dict):
        tree = CommentedMap({_quote(name): _lay_out(item, name, blocks) for name, item in value.items()})
        if key in _INLINE or not blocks:
            tree.fa.set_flow_style()
        return tree
    if isinstance(value, (list, tuple)):
        items = CommentedSeq([_lay_out(item, "", blocks) for item in value])
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
    tidy = not any(line != line.rstrip() for line in lines)
    return len(lines) > 1 and plain and tidy and bool(lines[0]) and not lines[0].startswith(" ")
