"""New values put into a YAML text that a person wrote, leaving every other byte, and every comment, as it is.

What cannot be put in piece by piece is written anew as a whole, entry by entry; where even that fails the answer is
None, and the caller decides: a result is either right or None.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from workbench.yaml_render import render_block, render_inline, render_quoted
from workbench.yaml_tree import YAML_FAULTS, list_scalars, load_tree, to_plain

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
            held = to_plain(load_tree(text), strict=False)
            if is_same({} if held is None else held, {} if wanted is None else wanted):
                return text
            root = YAML().compose(text)
            if root is None:  # nothing but comments
                text = _end_line(text) + render_block(wanted)
            else:
                text = _apply(text, _Editor(text).change_root(root, held, wanted))
    except (_Unfit, *YAML_FAULTS):
        return None
    return None


def _end_line(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def is_same(left: Any, right: Any) -> bool:
    """Equal, and alike in kind: true is not 1, and a list is a tuple."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(is_same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(is_same, left, right))
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def match_items(old: Sequence[Any], new: Sequence[Any]) -> list[int | None]:
    """For each new item the index of the old one it continues: by name, else by position."""
    names = {_name(item): index for index, item in enumerate(old)}
    wanted = {_name(item) for item in new}
    free = {index for index, item in enumerate(old) if _name(item) is None or _name(item) not in wanted}
    matches: list[int | None] = []
    for position, item in enumerate(new):
        match = names.get(_name(item)) if _name(item) is not None else None
        if match is None and position in free:
            match = position
            free.discard(position)
        matches.append(match)
    return matches


def _name(item: Any) -> Any:
    name = item.get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) else None


def _check_inside(node: Node, outer: Node) -> Node:
    """Raises _Unfit for an alias, whose text stands elsewhere."""
    if not outer.start_mark.index <= node.start_mark.index <= node.end_mark.index <= outer.end_mark.index:
        raise _Unfit
    return node


def _render_like(node: Node, wanted: Any) -> str:
    """A value on one line, in the quotes of the one that it replaces."""
    if isinstance(node, ScalarNode) and node.style in ("'", '"') and isinstance(wanted, str):
        return render_quoted(wanted, node.style)
    return render_inline(wanted)


def _apply(text: str, edits: Iterator[_Edit]) -> str:
    for edit in sorted(edits, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


class _Editor:
    """The edits that turn what one text holds into what is wanted."""

    def __init__(self, text: str) -> None:
        self.text = text

    def change_root(self, root: Node, held: Any, wanted: Any) -> Iterator[_Edit]:
        if isinstance(root, MappingNode) and not root.flow_style and wanted == {}:
            return self._change_mapping(root, held, {})
        return self.change(root, held, wanted, 0, root.start_mark.index)

    def change(self, node: Node, held: Any, wanted: Any, column: int, floor: int) -> Iterator[_Edit]:
        """column: where the node's parent begins. floor: where comments above the first item may begin."""
        if is_same(held, wanted):
            return
        block = isinstance(node, CollectionNode) and not node.flow_style and bool(wanted)
        if isinstance(node, CollectionNode) and node.flow_style:
            try:
                edits = list(self._change_inline(node, held, wanted))
            except _Unfit:
                edits = [self._replace(node, wanted, column)]
            yield from edits
        elif isinstance(node, MappingNode) and isinstance(wanted, dict) and block:
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
            literal = lines.startswith("|") and not rest
            new = self._indent(lines, column + 2).strip(" ") if literal else _render_like(node, wanted)
            return _Edit(start, end, new.rstrip("\n") if literal and not lines.endswith("\n\n") else new)
        if not wanted:
            raise _Unfit
        return _Edit(start, end, self._indent(lines, node.start_mark.column).strip())

    def _change_inline(self, node: Node, held: Any, wanted: Any) -> Iterator[_Edit]:
        """Change a value that is written on one line where it stands: its quotes and what else is in it are kept."""
        if is_same(held, wanted):
            return
        if isinstance(node, ScalarNode) and node.start_mark.index < node.end_mark.index:
            yield _Edit(node.start_mark.index, node.end_mark.index, _render_like(node, wanted))
        elif isinstance(node, MappingNode) and isinstance(wanted, dict) and len(node.value) == len(held) > 0:
            yield from self._change_inline_mapping(node, held, wanted)
        elif isinstance(node, SequenceNode) and isinstance(wanted, (list, tuple)) and len(held) == len(wanted):
            for item, old, new in zip(node.value, held, wanted, strict=True):
                yield from self._change_inline(_check_inside(item, node), old, new)
        else:
            raise _Unfit

    def _change_inline_mapping(
        self, node: MappingNode, held: dict[Any, Any], wanted: dict[Any, Any]
    ) -> Iterator[_Edit]:
        if any(name not in wanted for name in held):
            raise _Unfit
        for (_, value), (name, old) in zip(node.value, held.items(), strict=True):
            yield from self._change_inline(_check_inside(value, node), old, wanted[name])
        added = {name: value for name, value in wanted.items() if name not in held}
        if added:
            last = node.value[-1][1]
            if last.start_mark.index == last.end_mark.index:
                raise _Unfit
            end = _check_inside(last, node).end_mark.index
            yield _Edit(end, end, f", {render_inline(added)[1:-1]}")

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
                yield self._delete(key, value)
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
        matches = match_items(held, wanted)
        kept = [index for index in matches if index is not None]
        if not kept:
            raise _Unfit
        spans = list(self._spans(node, floor))
        if kept != sorted(kept):
            for target, source in zip(sorted(kept), kept, strict=True):
                yield _Edit(*spans[target], self.text[slice(*spans[source])])
            return  # the next pass finds the items in order
        yield from (_Edit(*span, "") for index, span in enumerate(spans) if index not in kept)
        column = self._dash_column(node)
        position = spans[kept[0]][0]
        for continued, new in zip(matches, wanted, strict=True):
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

    def _delete(self, key: Node, value: Node) -> _Edit:
        """Take an entry out; comments on lines of their own inside it stay."""
        start, end = self._line_start(key.start_mark.index), self._after(self._entry_end(key, value))
        if self.text[start : key.start_mark.index].strip():
            raise _Unfit
        scalars = [(node.start_mark.index, node.end_mark.index) for node in list_scalars(value)]
        comments, position = "", start
        for line in self.text[start:end].splitlines(keepends=True):
            if line.lstrip().startswith("#") and not any(first <= position < last for first, last in scalars):
                comments += line
            position += len(line)
        return _Edit(start, end, comments)

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
            raise _Unfit  # an empty item cannot be found in the text
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
