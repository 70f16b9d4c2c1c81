"""RuledTextArea: an editor in which the lines that begin a role's section are drawn as rules and protected.

The cursor steps over a rule, and a key deletes none of it: a rule goes as a whole, within a selection or by
`remove_role`. The text is byte for byte what the file has. A header that is being typed becomes a rule once the cursor
leaves its line.
"""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.document._document import EditResult, Location
from textual.geometry import Offset, Region, Spacing
from textual.strip import Strip
from textual.widgets.text_area import Selection

from workbench.sanitize import reveal
from workbench.tui.prompt_text import find_header, is_role_header, name_header, separate_headers, with_role
from workbench.tui.widgets.editing import TextArea


class RuledTextArea(TextArea):
    """See the module. A rule without a line of its own below it holds the cursor at its end; what is typed there
    begins that line."""

    has_rules = True
    """whether headers count: not in a prompt that is sent as it is"""
    _typed_row: int | None = None
    """the row of a header that the cursor has not left since it was typed"""
    _typing = False

    def show_rules(self, shown: bool) -> None:
        """Draw and protect the headers, or take them for text."""
        if shown != self.has_rules:
            self.has_rules = shown
            self.selection = self.selection
            self.refresh()

    def on_rule_protected(self) -> None:
        """A key would have deleted a rule, or a part of it."""

    # --- where the cursor can be ---------------------------------------------------------------------------------

    def is_rule(self, row: int) -> bool:
        """Whether a row is drawn as a rule."""
        lines = self.document.lines
        return self.has_rules and row != self._typed_row and 0 <= row < len(lines) and is_role_header(lines[row])

    def _is_bare(self, row: int) -> bool:
        """Whether a rule has no line of its own below it."""
        return row + 1 >= self.document.line_count or self.is_rule(row + 1)

    def _end_of(self, row: int) -> Location:
        return row, len(self.document[row])

    def _validate_selection(self, selection: Selection) -> Selection:
        start, end = found = super()._validate_selection(selection)
        if self._typing:
            self._typed_row = end[0] if is_role_header(self.document[end[0]]) else None
            return found
        if end[0] != self._typed_row and self._typed_row is not None:
            self._typed_row = None
            self.refresh()
        if found.is_empty:
            return Selection.cursor(self._step_over(end))
        first, last = sorted(found)
        first = (first[0], 0) if self.is_rule(first[0]) else first
        last = self._end_of(last[0]) if self.is_rule(last[0]) else last
        return Selection(first, last) if start <= end else Selection(last, first)

    def _step_over(self, location: Location) -> Location:
        """The nearest place for the cursor in the direction in which it moves."""
        row = location[0]
        if not self.is_rule(row):
            return location
        if self._is_bare(row) and (location >= self.cursor_location or row == 0):
            return self._end_of(row)
        if location >= self.cursor_location or row == 0:
            return row + 1, 0
        return self._end_of(row - 1)

    def get_cursor_down_location(self) -> Location:
        return self._pass_rules(super().get_cursor_down_location(), down=True)

    def get_cursor_up_location(self) -> Location:
        return self._pass_rules(super().get_cursor_up_location(), down=False)

    def _pass_rules(self, location: Location, *, down: bool) -> Location:
        step = self.navigator.get_location_below if down else self.navigator.get_location_above
        while self.is_rule(location[0]) and not self._is_bare(location[0]):
            further = step(location)
            if further == location:
                break
            location = further
        return location

    def scroll_cursor_visible(self, center: bool = False, animate: bool = False) -> Offset:
        """Scroll to the cursor, and to the rule right above it."""
        if not self._has_cursor or not self.is_rule(self.cursor_location[0] - 1):
            return super().scroll_cursor_visible(center, animate)
        self._recompute_cursor_offset()
        x, y = self._cursor_offset
        return self.scroll_to_region(
            Region(x, max(y - 1, 0), width=3, height=2),
            spacing=Spacing(right=self.gutter_width),
            animate=animate,
            force=True,
            center=center,
        )

    # --- what keys may change ------------------------------------------------------------------------------------

    def _delete_via_keyboard(self, start: Location, end: Location) -> EditResult | None:
        allowed = self._protect(start, end)
        if allowed is None:
            self.on_rule_protected()
            return None
        self._typing = True
        try:
            return super()._delete_via_keyboard(*allowed)
        finally:
            self._typing = False

    def _replace_via_keyboard(self, insert: str, start: Location, end: Location) -> EditResult | None:
        allowed = self._protect(start, end) if start != end else (start, end)
        if allowed is None:
            self.on_rule_protected()
            return None
        (top, left), (bottom, right) = allowed
        if self.has_rules:
            before, after = self.document[top][:left], self.document[bottom][right:]
            insert = separate_headers(insert, before, after)
            if start == end and self.is_rule(top):
                insert = f"\n{insert}"
        self._typing = True
        try:
            return super()._replace_via_keyboard(insert, *allowed)
        finally:
            self._typing = False

    def _protect(self, start: Location, end: Location) -> tuple[Location, Location] | None:
        """The part of a range that may be deleted; None for nothing of it. A selection has whole rules only."""
        first, last = sorted((start, end))
        if not self.selection.is_empty and [first, last] == sorted(self.selection):
            return first, last
        if self.is_rule(first[0]):
            first = first[0] + 1, 0
        if self.is_rule(last[0]):
            last = self._end_of(last[0] - 1)
        if first > last or (first == last and start != end) or any(map(self.is_rule, range(first[0], last[0] + 1))):
            return None
        return first, last

    # --- roles ---------------------------------------------------------------------------------------------------

    @property
    def header_row(self) -> int | None:
        """The row of the header of the section that the cursor is in."""
        return find_header(self.document.lines, self.cursor_location[0])

    def change_role(self, role: str) -> None:
        """Give the section of the cursor another role; a text before any header gets one."""
        row = self.header_row
        if row is None:
            self.replace(f"{role}:\n", (0, 0), (0, 0))
        else:
            self.replace(with_role(self.document[row], role), (row, 0), self._end_of(row))

    def add_role(self, role: str) -> None:
        """Begin a section below that of the cursor, and go there."""
        lines = self.document.lines
        below = next((row for row in range(self.cursor_location[0] + 1, len(lines)) if self.is_rule(row)), None)
        if below is not None:
            self.replace(f"{role}:\n\n\n", (below, 0), (below, 0))
            self.move_cursor((below + 1, 0))
            return
        gap = "" if not self.text or lines[-2:] == ["", ""] else "\n" if not lines[-1] else "\n\n"
        end = self.document.end
        self.replace(f"{gap}{role}:\n", end, end)
        self.move_cursor(self.document.end)

    def remove_role(self) -> None:
        """Take the header of the cursor's section away; its text joins the section above."""
        row = self.header_row
        if row is None:
            return
        if row + 1 < self.document.line_count:
            self.replace("", (row, 0), (row + 1, 0))
        else:
            self.replace("", self._end_of(row - 1) if row else (row, 0), self._end_of(row))

    # --- drawing -------------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        drawn = self.wrapped_document._offset_to_line_info
        index = y + self.scroll_offset.y
        if index >= len(drawn) or not self.is_rule(drawn[index][0]):
            return strip
        row, section = drawn[index]
        return self._draw_rule(row, strip.cell_length, named=not section)

    def _draw_rule(self, row: int, width: int, *, named: bool) -> Strip:
        theme = self._theme
        style = (theme.base_style if theme and theme.base_style else self.rich_style) or Style()
        style += (theme.syntax_styles.get("role") if theme else None) or Style(bold=True)
        first, last = sorted(self.selection)
        if first != last and first <= (row, 0) and self._end_of(row) <= last and theme and theme.selection_style:
            style += theme.selection_style
        text = f"── {reveal(name_header(self.document[row]))} " if named else ""
        text = set_cell_size(text, width) if cell_len(text) > width else text + "─" * (width - cell_len(text))
        if self.selection.is_empty and self.cursor_location[0] == row and self._draw_cursor and named and theme:
            return Strip([Segment(text[:-1], style), Segment(" ", style + (theme.cursor_style or Style()))])
        return Strip([Segment(text, style)])
