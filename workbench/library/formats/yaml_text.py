"""YAML text: YAML that keeps comments, key order and spacing, whatever is changed in it.

Knows ruamel.yaml; nothing of what the keys mean.
"""

from __future__ import annotations

import difflib
import io
import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from workbench.errors import PromptError


def parse_yaml(yaml: str, path: Path) -> Any:
    try:
        data = make_yaml(yaml).load(yaml)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 2}" if mark else str(path)
        raise PromptError(f"{place}: the front matter is not YAML: {error.problem or error.context}.") from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise PromptError(f"{path}: the front matter is not YAML: {error}.") from error
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


def make_text(value: Any) -> str:
    """A default as the template sees it: numbers as they are written, lists and mappings as YAML."""
    if isinstance(value, str):
        return str(value)
    return "\n".join(dump_lines(make_yaml(""), CommentedMap(value=value))).removeprefix("value:").strip()


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
