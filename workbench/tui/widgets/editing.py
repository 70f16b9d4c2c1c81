"""Textual's editors for foreign text: they hold it as it is and show what a terminal would act on by stand-ins.

`escape` is drawn as `␛`, an override of the writing direction as `⟨U+202E⟩`; the text itself, and so what is saved and
what a model is sent, stays what it was, down to its line endings.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import textual.widgets
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual._wrap import compute_wrap_offsets
from textual.binding import BindingType
from textual.document._document import Document, EditResult, Location, Newline
from textual.document._document_navigator import DocumentNavigator
from textual.document._syntax_aware_document import SyntaxAwareDocument
from textual.document._wrapped_document import WrappedDocument
from textual.events import Key, Paste
from textual.expand_tabs import expand_tabs_inline, get_tab_widths
from textual.strip import Strip

from workbench.sanitize import can_reveal, reveal
from workbench.tui.widgets.text_keys import AREA_KEYS, LINE_KEYS
from workbench.units import format_subject

_WIDEST = 8  # cells of `⟨U+202E⟩`
_MOST_STEPS = 200
_TAB = 4  # as Textual's Input draws one
_SPLIT: dict[str, re.Pattern[str]] = {
    "\n": re.compile("\n"),
    "\r\n": re.compile("\r\n|\n"),
    "\r": re.compile("\r|\n"),
}


class ExactDocument(Document):
    """A document that is joined to exactly the text it was made of.

    Textual's splits at every separator that Python knows, form feeds and U+2028 among them, and joins with line feeds.
    """

    def __init__(self, text: str) -> None:
        self._newline: Newline = detect_newline(text)
        self._lines: list[str] = text.split(self._newline)

    def replace_range(self, start: Location, end: Location, text: str) -> EditResult:
        (top, left), (bottom, right) = sorted((start, end))
        replaced = self.get_text_range((top, left), (bottom, right))
        before = self._lines[top][:left] if top < len(self._lines) else ""
        after = self._lines[bottom][right:] if bottom < len(self._lines) else ""
        added = _SPLIT[self._newline].split(text)
        column = len(added[-1]) + (len(before) if len(added) == 1 else 0)
        added[0] = before + added[0]
        added[-1] += after
        self._lines[top : bottom + 1] = added
        return EditResult((top + len(added) - 1, column), replaced)


class ExactSyntaxDocument(SyntaxAwareDocument, ExactDocument):
    """The same with a syntax tree."""


def detect_newline(text: str) -> Newline:
    """The one line ending of a text; a line feed where endings are mixed, so that the others stay in the lines."""
    if "\n" not in text:
        return "\r" if "\r" in text else "\n"
    pairs = text.count("\r\n")
    return "\r\n" if pairs == text.count("\n") == text.count("\r") else "\n"


class RevealingWrap(WrappedDocument):
    """Rows of a document whose stand-ins take room that the characters they stand for do not."""

    def wrap(self, width: int, tab_width: int | None = None) -> None:
        super().wrap(width, tab_width)
        if width and any(map(can_reveal, self.document.lines)):
            self._wrap_revealed()

    def wrap_range(self, start: Location, old_end: Location, new_end: Location) -> None:
        if self._width and any(map(can_reveal, self.document.lines)):
            self.wrap(self._width)  # rare enough to wrap everything again
        else:
            super().wrap_range(start, old_end, new_end)

    def _wrap_revealed(self) -> None:
        self._wrap_offsets = [self._find_offsets(line) for line in self.document.lines]
        self._offset_to_line_info = [
            (index, section) for index, offsets in enumerate(self._wrap_offsets) for section in range(len(offsets) + 1)
        ]
        self._line_index_to_offsets = [[] for _ in self._wrap_offsets]
        for row, (index, _section) in enumerate(self._offset_to_line_info):
            self._line_index_to_offsets[index].append(row)
        self._tab_width_cache = [
            [width for _text, width in get_tab_widths(line, self._tab_width)] for line in self.document.lines
        ]

    def _find_offsets(self, line: str) -> list[int]:
        """Where a line breaks: never inside a stand-in, so that a row may need the room of one more."""
        if not can_reveal(line):
            return compute_wrap_offsets(line, self._width, self._tab_width)
        indices = [index for index, char in enumerate(line) for _cell in reveal(char)]
        width = max(self._width - _WIDEST + 1, 1)
        found = [indices[offset] for offset in compute_wrap_offsets(reveal(line), width, self._tab_width)]
        return [offset for offset in dict.fromkeys(found) if offset]


class TextArea(textual.widgets.TextArea, inherit_bindings=False):
    """An editor of several lines. Its keys are text_keys.py's, without Textual's f6 and f7."""

    BINDINGS: ClassVar[list[BindingType]] = [*AREA_KEYS]
    keeps_letters: ClassVar[bool] = False
    """whether a letter that is pressed here starts nothing, even while the text cannot be edited"""

    async def _on_key(self, event: Key) -> None:
        _keep_alt(event)
        if self.keeps_letters and self.read_only and event.is_printable:
            event.prevent_default().stop()

    def check_consume_key(self, key: str, character: str | None = None) -> bool:
        printable = character is not None and character.isprintable()
        return (self.keeps_letters and printable) or super().check_consume_key(key, character)

    def action_document_start(self) -> None:
        self.move_cursor((0, 0))

    def action_document_end(self) -> None:
        self.move_cursor(self.document.end)

    def _set_document(self, text: str, language: str | None) -> None:
        super()._set_document(text, language)  # finds the language and the query that colours it
        syntax = self.document.language if isinstance(self.document, SyntaxAwareDocument) else None
        self.document = ExactDocument(text) if syntax is None else ExactSyntaxDocument(text, syntax)
        self.wrapped_document = RevealingWrap(self.document, tab_width=self.indent_width)
        self.navigator = DocumentNavigator(self.wrapped_document)
        self._build_highlight_map()
        self.move_cursor((0, 0))
        self._rewrap_and_refresh_virtual_size()

    def _replace_via_keyboard(self, insert: str, start: Location, end: Location) -> EditResult | None:
        """Line endings of what is typed or pasted become those of the text."""
        return super()._replace_via_keyboard(re.sub("\r\n?", "\n", insert), start, end)

    def _recompute_cursor_offset(self) -> None:
        """In the midst of an edit the cursor may stand behind the end of what is left.

        Textual 8.2.8 restores the cursor only after the scroll bar has come or gone, whose watcher asks for it.
        """
        self._cursor_offset = self.wrapped_document.location_to_offset(self.clamp_visitable(self.cursor_location))

    def render_line(self, y: int) -> Strip:
        return reveal_strip(super().render_line(y))


class Input(textual.widgets.Input, inherit_bindings=False):
    """An editor of one line."""

    BINDINGS: ClassVar[list[BindingType]] = [*LINE_KEYS]
    _stepping = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._done: list[str] = []
        self._undone: list[str] = []
        super().__init__(*arguments, **options)

    async def _on_key(self, event: Key) -> None:
        _keep_alt(event)

    def watch_value(self, old: str, _new: str) -> None:
        """What a person changes can be undone; the app changes a field that has not the cursor."""
        if self.has_focus and not self._stepping:
            self._done.append(old)
            del self._done[:-_MOST_STEPS]
            self._undone.clear()

    def action_undo(self) -> None:
        self._step(self._done, self._undone)

    def action_redo(self) -> None:
        self._step(self._undone, self._done)

    def _step(self, steps: list[str], others: list[str]) -> None:
        if steps:
            others.append(self.value)
            self._stepping = True
            self.value = steps.pop()
            self._stepping = False
            self.cursor_position = len(self.value)

    def _on_paste(self, event: Paste) -> None:
        """The first line, and how many are left out."""
        lines = [line for line in event.text.splitlines() if line]
        if len(lines) > 1:
            text = f"{format_subject(len(lines) - 1, 'more line')} left out: this field holds one line."
            self.notify(text, title="Pasted the first line", severity="warning")
        if lines:
            super()._on_paste(Paste(lines[0]))
        event.prevent_default().stop()

    @property
    def _value(self) -> Text:
        return super()._value if self.password or not can_reveal(self.value) else _Revealed(self.value)

    def _position_to_cell(self, position: int) -> int:
        return Text(expand_tabs_inline(reveal(self.value[:position]), _TAB)).cell_len


def _keep_alt(event: Key) -> None:
    """Keep a letter with alt from being typed, as Textual 8.2.8 does; its binding acts. It calls the other handlers."""
    if event.key.startswith("alt+"):
        event.prevent_default()


class _Revealed(Text):
    """A value with its stand-ins, styled by the positions of the characters that they stand for."""

    def __init__(self, value: str) -> None:
        super().__init__(reveal(value), no_wrap=True, overflow="ignore", end="")
        self._value = value

    def stylize(self, style: str | Style, start: int = 0, end: int | None = None) -> None:
        super().stylize(style, self._shown_index(start), None if end is None else self._shown_index(end))

    def stylize_before(self, style: str | Style, start: int = 0, end: int | None = None) -> None:
        super().stylize_before(style, self._shown_index(start), None if end is None else self._shown_index(end))

    def _shown_index(self, index: int) -> int:
        return len(reveal(self._value[:index])) + max(index - len(self._value), 0)


def reveal_strip(strip: Strip) -> Strip:
    """A drawn row with its stand-ins, as wide as before."""
    if not any(can_reveal(segment.text) for segment in strip):
        return strip
    shown = Strip([Segment(reveal(text), style, control) for text, style, control in strip])
    return shown.crop(0, strip.cell_length)
