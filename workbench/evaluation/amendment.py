"""Amendment: new values put into a YAML text that a person wrote, leaving every other byte as it is.

Knows nothing of what the text is about. What cannot be put in by hand is left to the caller to write anew, so a
result is either right or None.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from workbench.evaluation.layout import render_block, render_inline
from workbench.evaluation.tree import load_tree, to_plain
from workbench.yaml_bounds import YAML_FAULTS

_MOST_PASSES = 4


class _Edit(NamedTuple):
    """Replace text[start:end]."""

    start: int
    end: int
    text: str


class _Unfit(Exception):
    """This part cannot be amended piece by piece; it has to be written anew as a whole."""


def amend(text: str, wanted: Any) -> str | None:
    """The text changed so that it holds the wanted values, in plain Python; None when that cannot be done."""
    try:
        for _ in range(_MOST_PASSES):
            held = to_plain(load_tree(text))
            if is_same(held, wanted):
                return text
            root = YAML().compose(text)
            text = _apply(text, _Splice(text).change(root, held, wanted, 0, root.start_mark.index))
    except (_Unfit, *YAML_FAULTS):
        return None
    return None


def is_same(left: Any, right: Any) -> bool:
    """Equal, and alike in kind: true is not 1, and a list is a tuple."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(is_same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(is_same, left, right))
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def match_items(old: Sequence[Any], new: Sequence[Any]) -> list[int | None]:
    """For each new item the place of the old one it continues: by name, else by position."""
    names = {_name(item): place for place, item in enumerate(old)}
    wanted = {_name(item) for item in new}
    free = {place for place, item in enumerate(old) if _name(item) is None or _name(item) not in wanted}
    places: list[int | None] = []
    for index, item in enumerate(new):
        place = names.get(_name(item)) if _name(item) is not None else None
        if place is None and index in free:
            place = index
            free.discard(index)
        places.append(place)
    return places


def _name(item: Any) -> Any:
    name = item.get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) else None


def _apply(text: str, edits: Iterator[_Edit]) -> str:
    for edit in sorted(edits, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


class _Splice:
    """The edits that turn what one text holds into what is wanted."""

    def __init__(self, text: str) -> None:
        self.text = text

    def change(self, node: Node, held: Any, wanted: Any, column: int, floor: int) -> Iterator[_Edit]:
        """column: where the node's parent begins. floor: where comments above the first item may begin."""
        if is_same(held, wanted):
            return
        block = isinstance(node, CollectionNode) and not node.flow_style and bool(wanted)
        if isinstance(node, MappingNode) and isinstance(wanted, dict) and block:
            yield from self._change_mapping(node, held, wanted)
        elif isinstance(node, SequenceNode) and isinstance(wanted, (list, tuple)) and block:
            yield from self._change_sequence(node, held, wanted, floor)
        else:
            yield self._replace(node, wanted, column)

    def _replace(self, node: Node, wanted: Any, column: int) -> _Edit:
        """Write a value anew: on its line where it stands on one, or where a comment follows it."""
        start, end = node.start_mark.index, self._end(node)
        if isinstance(node, ScalarNode) and start == node.end_mark.index:
            raise _Unfit
        rest = self.text[end : self._line_end(end)].strip()
        lines = render_block(wanted)
        inline = not isinstance(node, CollectionNode) or node.flow_style
        if inline or rest or not isinstance(wanted, (dict, list, tuple)):
            literal = lines.startswith("|") and not rest and self._owns_line(start)
            new = self._indent(lines, column + 2).strip(" ") if literal else render_inline(wanted)
            return _Edit(start, end, new.rstrip("\n") if literal and not lines.endswith("\n\n") else new)
        if not wanted:
            raise _Unfit
        return _Edit(start, end, self._indent(lines, node.start_mark.column).strip())

    def _owns_line(self, start: int) -> bool:
        """Whether a value stands outside any inline list or mapping, as far as its line tells."""
        line = self.text[self._line_start(start) : start]
        return "{" not in line and "[" not in line

    def _change_mapping(self, node: MappingNode, held: dict[Any, Any], wanted: dict[Any, Any]) -> Iterator[_Edit]:
        if len(held) != len(node.value):
            raise _Unfit  # merged or repeated keys
        column: int = node.start_mark.column
        last = 0
        for (key, value), (name, old) in zip(node.value, held.items(), strict=True):
            if name in wanted:
                last = self._entry_end(key, value)
                yield from self._change_entry(key, value, old, name, wanted[name], column)
            else:
                yield self._delete(key.start_mark.index, self._entry_end(key, value))
        added = {name: value for name, value in wanted.items() if name not in held}
        if added:
            yield self._insert(last or self._end(node), self._indent(render_block(added), column))

    def _change_entry(self, key: Node, value: Node, old: Any, name: Any, new: Any, column: int) -> Iterator[_Edit]:
        if is_same(old, new):
            return
        try:
            edits = list(self.change(value, old, new, column, self._after(key.end_mark.index)))
        except _Unfit:
            end = self._entry_end(key, value)
            whole = self._indent(render_block({name: new}), column).strip()
            if self.text[end : self._line_end(end)].strip():
                whole = f"{render_inline(name)}: {render_inline(new)}"
            edits = [_Edit(key.start_mark.index, end, whole)]
        yield from edits

    def _change_sequence(
        self, node: SequenceNode, held: Sequence[Any], wanted: Sequence[Any], floor: int
    ) -> Iterator[_Edit]:
        places = match_items(held, wanted)
        kept = [place for place in places if place is not None]
        if not kept:
            raise _Unfit
        spans = list(self._spans(node, floor))
        if kept != sorted(kept):
            for slot, place in zip(sorted(kept), kept, strict=True):
                yield _Edit(*spans[slot], self.text[slice(*spans[place])])
            return  # the next pass finds the items in order
        yield from (_Edit(*span, "") for place, span in enumerate(spans) if place not in kept)
        column = self._dash_column(node)
        position = spans[kept[0]][0]
        for continued, new in zip(places, wanted, strict=True):
            if continued is None:
                yield self._insert_at(position, self._indent(render_block([new]), column))
            else:
                yield from self.change(node.value[continued], held[continued], new, column, floor)
                position = spans[continued][1]

    def _spans(self, node: SequenceNode, floor: int) -> Iterator[tuple[int, int]]:
        """Each item's lines, with the comments above it."""
        start = floor
        for item in node.value:
            first = self._line_start(item.start_mark.index)
            if self.text[first : item.start_mark.index].strip() != "-" or first < start:
                raise _Unfit
            end = self._after(self._end(item))
            yield start, end
            start = end

    def _dash_column(self, node: SequenceNode) -> int:
        first = node.value[0].start_mark.index
        start = self._line_start(first)
        return self.text.index("-", start) - start

    def _delete(self, start: int, end: int) -> _Edit:
        line = self._line_start(start)
        if self.text[line:start].strip():
            raise _Unfit
        return _Edit(line, self._after(end), "")

    def _insert(self, end: int, lines: str) -> _Edit:
        return self._insert_at(self._after(end), lines)

    def _insert_at(self, position: int, lines: str) -> _Edit:
        broken = position == 0 or self.text[position - 1] == "\n"
        return _Edit(position, position, lines if broken else "\n" + lines)

    def _entry_end(self, key: Node, value: Node) -> int:
        empty = isinstance(value, ScalarNode) and value.start_mark.index == value.end_mark.index
        colon: int = self.text.index(":", key.end_mark.index) + 1
        return colon if empty else self._end(value)

    def _end(self, node: Node) -> int:
        """Where the node's own text ends; YAML's mark of a block is where the next thing begins."""
        if isinstance(node, ScalarNode):
            start, end = node.start_mark.index, node.end_mark.index
            if node.style in ("|", ">") and "+" not in self.text[start : self._line_end(start)]:
                end = start + len(self.text[start:end].rstrip())
            return int(end)
        if not isinstance(node, CollectionNode) or node.flow_style or not node.value:
            return int(node.end_mark.index)
        last = node.value[-1]
        if isinstance(last, tuple):
            return self._entry_end(*last)
        if last.start_mark.index == last.end_mark.index:
            raise _Unfit  # an empty item has no place of its own
        return self._end(last)

    def _after(self, end: int) -> int:
        """The start of the line after the one that ends here."""
        if end and self.text[end - 1] == "\n":
            return end
        return min(self._line_end(end) + 1, len(self.text))

    def _line_start(self, position: int) -> int:
        return self.text.rfind("\n", 0, position) + 1

    def _line_end(self, position: int) -> int:
        found = self.text.find("\n", position)
        return len(self.text) if found < 0 else found

    def _indent(self, lines: str, column: int) -> str:
        return "".join(" " * column + line if line.strip() else line for line in lines.splitlines(keepends=True))
