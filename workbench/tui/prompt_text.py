"""What the prompt editor finds in a prompt's text: role headers, unfinished variables, and what is searched for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from workbench.prompting.template import MARKER

Location = tuple[int, int]

_UNFINISHED = re.compile(r"\{\{-?[ \t]*([A-Za-z_]\w*)?$")
_SAMPLE = 40


class VariableCompletion(NamedTuple):
    """A variable that finishes what stands before the cursor. rest: what to add to it."""

    name: str
    sample: str
    rest: str


def is_role_header(line: str) -> bool:
    """Whether a line, without its line break, begins a role's section."""
    return MARKER.fullmatch(line) is not None


def find_header(lines: Sequence[str], row: int) -> int | None:
    """The row of the header of the section that a row belongs to; None before any header."""
    return next((at for at in range(row, -1, -1) if is_role_header(lines[at])), None)


def name_header(line: str) -> str:
    """A header as it is drawn: its role, with its attributes where it has some."""
    return line.strip().lstrip("#").rstrip(": \t").strip()


def with_role(line: str, role: str) -> str:
    """A header with another role, and all else of it as it was."""
    found = MARKER.fullmatch(line)
    return line if found is None else f"{line[: found.start(1)]}{role}{line[found.end(1) :]}"


def separate_headers(inserted: str, before: str, after: str) -> str:
    """A text that is to stand between two others, with line breaks where its first or last line is a header.

    Only a text of several lines: of one line, a header is a word like any other until a person ends it.
    """
    lines = inserted.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if len(lines) == 1:
        return inserted
    head = "\n" if before and is_role_header(lines[0]) else ""
    tail = "\n" if after and is_role_header(lines[-1]) else ""
    return f"{head}{inserted}{tail}"


def complete_variable(before: str, after: str, columns: Mapping[str, str]) -> list[VariableCompletion]:
    """Columns whose names finish the `{{ re` before the cursor; none inside of a word. columns: with sample values."""
    found = _UNFINISHED.search(before)
    if found is None or after[:1].isidentifier():
        return []
    typed = found[1] or ""
    gap = "" if typed or before.endswith((" ", "\t")) else " "
    end = "" if after.lstrip().startswith(("}", "|")) else " }}"
    return [
        VariableCompletion(name, _shorten(sample), f"{gap}{name[len(typed) :]}{end}")
        for name, sample in columns.items()
        if name.startswith(typed) and name != typed and name.isidentifier()
    ]


def _shorten(sample: str) -> str:
    words = " ".join(sample[: 2 * _SAMPLE].split())
    return words if len(words) <= _SAMPLE else f"{words[: _SAMPLE - 1]}…"


def find_matches(lines: Iterable[str], query: str) -> list[tuple[Location, Location]]:
    """Where a text occurs, outside of role headers. Capitals count only if the query has some."""
    if not query:
        return []
    pattern = re.compile(re.escape(query), re.IGNORECASE if query == query.lower() else 0)
    return [
        ((index, match.start()), (index, match.end()))
        for index, line in enumerate(lines)
        if not is_role_header(line)
        for match in pattern.finditer(line)
    ]


def replace_matches(lines: Sequence[str], query: str, replacement: str) -> tuple[str, int]:
    """The text with every match replaced, its lines joined by line feeds; and how many there were."""
    replaced = list(lines)
    matches = find_matches(lines, query)
    for (row, left), (_, right) in reversed(matches):
        replaced[row] = replaced[row][:left] + replacement + replaced[row][right:]
    return "\n".join(replaced), len(matches)
