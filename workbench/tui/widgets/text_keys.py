"""Keys inside of text: those of a shell's line (readline), of the arrows, and of a desktop's editors.

Each has an id, by which the settings change it in every text field at once. docs/keys.md says why they are what they
are.
"""

from __future__ import annotations

from collections.abc import Mapping

from textual.binding import Binding

_KEYS: dict[str, tuple[str, str]] = {
    "text.left": ("left,ctrl+b", "left"),
    "text.right": ("right,ctrl+f", "right"),
    "text.up": ("up,ctrl+p", "line above"),
    "text.down": ("down,ctrl+n", "line below"),
    "text.word_left": ("ctrl+left,alt+b", "a word to the left"),
    "text.word_right": ("ctrl+right,alt+f", "a word to the right"),
    "text.line_start": ("home,ctrl+a", "start of line"),
    "text.line_end": ("end,ctrl+e", "end of line"),
    "text.page_up": ("pageup", "a page up"),
    "text.page_down": ("pagedown", "a page down"),
    "text.start": ("ctrl+home", "start of text"),
    "text.end": ("ctrl+end", "end of text"),
    "text.select_left": ("shift+left", "select to the left"),
    "text.select_right": ("shift+right", "select to the right"),
    "text.select_up": ("shift+up", "select upwards"),
    "text.select_down": ("shift+down", "select downwards"),
    "text.select_word_left": ("ctrl+shift+left", "select a word to the left"),
    "text.select_word_right": ("ctrl+shift+right", "select a word to the right"),
    "text.select_line_start": ("shift+home", "select to start of line"),
    "text.select_line_end": ("shift+end", "select to end of line"),
    "text.select_all": ("alt+a,ctrl+shift+a", "select all"),
    "text.delete_left": ("backspace", "delete to the left"),
    "text.delete": ("delete,ctrl+d", "delete to the right"),
    "text.delete_word": ("ctrl+w,ctrl+backspace,alt+backspace", "delete word to the left"),
    "text.delete_word_right": ("alt+d,alt+delete,ctrl+delete", "delete word to the right"),
    "text.delete_start": ("ctrl+u,super+backspace", "delete to start of line"),
    "text.delete_end": ("ctrl+k", "delete to end of line"),
    "text.delete_line": ("ctrl+shift+k", "delete line"),
    "text.cut": ("ctrl+x,super+x", "cut"),
    "text.copy": ("ctrl+c,super+c", "copy"),
    "text.paste": ("ctrl+v", "paste"),
    "text.undo": ("ctrl+z,super+z,ctrl+underscore", "undo"),
    "text.redo": ("ctrl+y,super+y,ctrl+shift+z", "redo"),
    "text.submit": ("enter", "enter"),
}

_AREA = {
    "text.left": "cursor_left",
    "text.right": "cursor_right",
    "text.up": "cursor_up",
    "text.down": "cursor_down",
    "text.word_left": "cursor_word_left",
    "text.word_right": "cursor_word_right",
    "text.line_start": "cursor_line_start",
    "text.line_end": "cursor_line_end",
    "text.page_up": "cursor_page_up",
    "text.page_down": "cursor_page_down",
    "text.start": "document_start",
    "text.end": "document_end",
    "text.select_left": "cursor_left(True)",
    "text.select_right": "cursor_right(True)",
    "text.select_up": "cursor_up(True)",
    "text.select_down": "cursor_down(True)",
    "text.select_word_left": "cursor_word_left(True)",
    "text.select_word_right": "cursor_word_right(True)",
    "text.select_line_start": "cursor_line_start(True)",
    "text.select_line_end": "cursor_line_end(True)",
    "text.select_all": "select_all",
    "text.delete_left": "delete_left",
    "text.delete": "delete_right",
    "text.delete_word": "delete_word_left",
    "text.delete_word_right": "delete_word_right",
    "text.delete_start": "delete_to_start_of_line",
    "text.delete_end": "delete_to_end_of_line_or_delete_line",
    "text.delete_line": "delete_line",
    "text.cut": "cut",
    "text.copy": "copy",
    "text.paste": "paste",
    "text.undo": "undo",
    "text.redo": "redo",
}

_LINE = {
    "text.left": "cursor_left",
    "text.right": "cursor_right",
    "text.word_left": "cursor_left_word",
    "text.word_right": "cursor_right_word",
    "text.line_start": "home",
    "text.line_end": "end",
    "text.select_left": "cursor_left(True)",
    "text.select_right": "cursor_right(True)",
    "text.select_word_left": "cursor_left_word(True)",
    "text.select_word_right": "cursor_right_word(True)",
    "text.select_line_start": "home(True)",
    "text.select_line_end": "end(True)",
    "text.select_all": "select_all",
    "text.delete_left": "delete_left",
    "text.delete": "delete_right",
    "text.delete_word": "delete_left_word",
    "text.delete_word_right": "delete_right_word",
    "text.delete_start": "delete_left_all",
    "text.delete_end": "delete_right_all",
    "text.cut": "cut",
    "text.copy": "copy",
    "text.paste": "paste",
    "text.undo": "undo",
    "text.redo": "redo",
    "text.submit": "submit",
}


def _bind(actions: Mapping[str, str]) -> list[Binding]:
    return [Binding(_KEYS[id][0], action, _KEYS[id][1], id=id, show=False) for id, action in actions.items()]


AREA_KEYS = _bind(_AREA)
"""of an editor of several lines"""
LINE_KEYS = _bind(_LINE)
"""of an editor of one line"""
