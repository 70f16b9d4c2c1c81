"""YAML text: YAML that keeps comments, key order and spacing, whatever is changed in it.

Knows ruamel.yaml; nothing of what the keys mean.
"""

from __future__ import annotations

import difflib
import io
import math
import re
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.scalarbool import ScalarBoolean
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from workbench.errors import PromptError
from workbench.prompting.values import Kind, read_as, write_json
from workbench.yaml_bounds import YAML_FAULTS, check_bounds, explain_fault


def parse_yaml(yaml: str, path: Path) -> Any:
    try:
        check_bounds(yaml)
        data = make_yaml(yaml).load(yaml)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 2}" if mark else str(path)
        raise PromptError(f"{place}: the front matter is not YAML: {error.problem or error.context}.") from error
    except YAML_FAULTS as error:
        raise PromptError(f"{path}: the front matter cannot be read: {explain_fault(error)}.") from error
    if data is not None and not isinstance(data, CommentedMap):
        raise PromptError(f"{path}:2: the front matter is not a mapping of keys to values.")
    return data


def make_yaml(like: str) -> YAML:
    """A YAML reader and writer that indents as the text does."""
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 1_000_000
    yaml.allow_unicode = True
    if dash := re.search(r"^( *)[^\s#-][^\n]*:[ \t]*\r?\n( *)- ", like, re.MULTILINE):
        offset = len(dash[2]) - len(dash[1])
        yaml.indent(sequence=offset + 2, offset=offset)
    if step := re.search(r"^( *)[^\s#-][^\n]*:[ \t]*\r?\n( +)[^\s#-]", like, re.MULTILINE):
        yaml.indent(mapping=max(len(step[2]) - len(step[1]), 1))
    return yaml


def dump_lines(yaml: YAML, data: CommentedMap | None) -> list[str]:
    if not data:
        return []
    stream = io.StringIO()
    yaml.dump(data, stream)
    return stream.getvalue().split("\n")[:-1]


def merge_lines(original: list[str], base: list[str], new: list[str]) -> list[str]:
    """The original lines with the changes that lead from `base` to `new`; comments are never taken away.

    `base` is the original as the YAML writer would space it, line by line; where it is not, `new` is the answer.
    """
    if len(original) != len(base):
        return [*original, *new] if not base else new
    merged: list[str] = []
    for kind, start, end, first, last in difflib.SequenceMatcher(None, base, new, autojunk=False).get_opcodes():
        if kind == "equal":
            merged += original[start:end]
            continue
        kept = {line.strip() for line in new[first:last]}
        comments = [line for line in original[start:end] if _is_comment(line) and line.strip() not in kept]
        while last > first and merged and _is_comment(merged[-1]) and _indent(merged[-1]) < _indent(new[first]):
            comments.insert(0, merged.pop())  # it speaks of what comes after the inner lines
        merged += new[first:last] + comments
    return merged


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def make_scalar(text: str) -> str:
    """The text in the form that reads best and is still read back as it is."""
    lines = text.split("\n")
    plain = all(line.isprintable() and line == line.rstrip() for line in lines)
    if len(lines) > 1 and plain and lines[0] and lines[0][0] not in " #" and lines[-2]:
        return str.__new__(LiteralScalarString, text)
    return text if plain and len(lines) == 1 else str.__new__(DoubleQuotedScalarString, text)


class Default(NamedTuple):
    """A default as text, and its type where that is not text."""

    text: str
    kind: Kind | None


def read_default(value: Any) -> Default:
    """Numbers as they are written, lists and mappings as JSON."""
    if isinstance(value, (dict, list, tuple, set)):
        plain = _to_plain(value)
        return Default(write_json(plain), "object" if isinstance(plain, dict) else "array")
    if isinstance(value, str):
        return Default(str(value), None)
    text = "\n".join(dump_lines(make_yaml(""), CommentedMap(value=value))).removeprefix("value:").strip()
    if isinstance(value, (bool, ScalarBoolean)):
        return Default(text.lower(), "boolean")
    return Default(text, "integer" if isinstance(value, int) else "float" if isinstance(value, float) else None)


def make_default(text: str, kind: Kind | None) -> Any:
    """What is written for a default of that type; a text that is not of it is written as the text it is."""
    value = read_as(text, kind) if kind and kind != "string" else text
    return make_scalar(text) if isinstance(value, str) else _to_yaml(value)


def _to_plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_to_plain(item) for item in value]
    if isinstance(value, (bool, ScalarBoolean)):
        return bool(value)
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value) if math.isfinite(value) else str(value)
    return value if value is None else str(value)


def _to_yaml(value: Any) -> Any:
    """A typed value as ruamel writes it, lists and mappings on one line."""
    if isinstance(value, dict):
        tree = CommentedMap({make_scalar(key): _to_yaml(item) for key, item in value.items()})
        tree.fa.set_flow_style()
        return tree
    if isinstance(value, list):
        items = CommentedSeq([_to_yaml(item) for item in value])
        items.fa.set_flow_style()
        return items
    if isinstance(value, str):
        return make_scalar(value)
    return next((kind(value) for kind in (bool, int, float) if isinstance(value, kind)), value)


def open_map(where: CommentedMap, key: str) -> CommentedMap:
    if not isinstance(where.get(key), CommentedMap):
        where[key] = CommentedMap()
    return where[key]  # type: ignore[no-any-return]


def set_key(where: CommentedMap, key: str, value: str) -> None:
    """Set a key; an empty value leaves it out."""
    if value:
        where[key] = make_scalar(value)
    else:
        where.pop(key, None)
