"""JSON files: a list of objects, lists under keys as splits, SQuAD's articles, or in truth an object a line."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from workbench.datasets.file_snapshot import FileSnapshot
from workbench.datasets.readers.json_array import JsonArraySource, JsonList, find_lists
from workbench.datasets.readers.json_lines import JsonLinesSource
from workbench.datasets.readers.squad import SquadSource, is_squad
from workbench.datasets.registry import FileSplits, reader
from workbench.datasets.source import RowSource
from workbench.errors import DatasetError

_PEEK_BYTES = 1 << 20


@reader("json", ".json")
def open_json(path: Path) -> FileSplits:
    content = FileSnapshot(path)
    if _is_json_lines(content):
        return FileSplits.whole(JsonLinesSource(content))
    lists = {one.key: one for one in find_lists(content)}
    if not lists:
        raise DatasetError(f"{path} holds no list of objects.", 'Expected [{"column": "value"}, ...].')
    if "" in lists:
        return FileSplits.whole(_open_list(content, lists[""]))
    return FileSplits(lambda key: _open_list(content, lists[key]), tuple(lists))


def _open_list(content: FileSnapshot, one: JsonList) -> RowSource:
    array = JsonArraySource(content, one)
    return SquadSource(array) if is_squad(array) else array


def _is_json_lines(content: FileSnapshot) -> bool:
    """Whether a .json file holds an object a line, as many do."""
    first = content.read(content.begin, _PEEK_BYTES).lstrip().split(b"\n", 1)[0].rstrip()
    if not (first.startswith(b"{") and first.endswith(b"}")):
        return False
    try:
        values = msgspec.json.decode(first, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return not any(re.match(rb"\[\s*\{", value) for value in values.values()) or content.size > len(first) + 4
