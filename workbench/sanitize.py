"""Text from a model, a file or another program made safe to print on a terminal."""

from __future__ import annotations

import re

_REPLACEMENT = "\ufffd"
_NEWLINE = "\u2424"  # SYMBOL FOR NEWLINE
_CONTROL_PICTURES = 0x2400  # Unicode block that pictures each C0 control at the same offset

_REPLACED: dict[int, str] = {
    **{code: chr(_CONTROL_PICTURES + code) for code in range(0x20) if chr(code) not in "\n\t"},
    0x7F: "\u2421",
    **dict.fromkeys(range(0x80, 0xA0), _REPLACEMENT),  # C1: one byte can open an escape sequence
    0x85: _NEWLINE,
    **dict.fromkeys((0x061C, 0x200E, 0x200F), _REPLACEMENT),  # bidirectional marks
    0x2028: _NEWLINE,
    0x2029: _NEWLINE,
    **dict.fromkeys(range(0x202A, 0x202F), _REPLACEMENT),  # bidirectional embeddings and overrides
    **dict.fromkeys(range(0x2066, 0x2070), _REPLACEMENT),  # bidirectional isolates, deprecated format characters
    **dict.fromkeys(range(0xFFF9, 0xFFFC), _REPLACEMENT),  # interlinear annotations hide text
    **dict.fromkeys(range(0xD800, 0xE000), _REPLACEMENT),  # lone surrogates cannot be written as UTF-8
}
_ACTIVE_SET = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufff9-\ufffb\ud800-\udfff"
_ACTIVE = re.compile(f"[{_ACTIVE_SET}]")
_ACTIVE_IN_LINE = re.compile(f"[\t\n{_ACTIVE_SET}]")
_IN_LINE = {**_REPLACED, ord("\n"): _NEWLINE, ord("\t"): " "}


def sanitize(text: str) -> str:
    """The text with everything that could steer a terminal replaced by a visible sign.

    Line feeds and tabs stay; other control characters become their control pictures (escape is shown as `␛`);
    C1 controls, bidirectional controls (Unicode's property Bidi_Control) and lone surrogates become U+FFFD; line
    separators become `␤`. Right-to-left letters, emoji and their joiners are left as they are. Every character becomes
    exactly one character, so offsets stay, and pieces of a stream may be treated one by one.
    """
    return _ACTIVE.sub(lambda match: _REPLACED[ord(match[0])], text)


def sanitize_line(text: str) -> str:
    """The same for text that has to stay on one row: a line feed becomes `␤`, a tab a blank."""
    return _ACTIVE_IN_LINE.sub(lambda match: _IN_LINE[ord(match[0])], text)


def is_safe_line(text: str) -> bool:
    """Whether `sanitize_line` would change nothing."""
    return _ACTIVE_IN_LINE.search(text) is None


def reveal(text: str) -> str:
    """The text as an editor shows it: control characters as `␛`, everything else that is unsafe as `⟨U+202E⟩`.

    Not one to one: what is shown may be wider than what is edited.
    """
    return _ACTIVE.sub(lambda match: _reveal(match[0]), text)


def can_reveal(text: str) -> bool:
    """Whether `reveal` would change anything."""
    return _ACTIVE.search(text) is not None


def _reveal(char: str) -> str:
    code = ord(char)
    return _REPLACED[code] if code <= 0x7F else f"⟨U+{code:04X}⟩"


def escape_json(text: str) -> str:
    r"""Encoded JSON with everything unsafe escaped as `\u202e`: other bytes, the same data.

    Inside JSON text such characters can only stand in strings, where an escape means the same.
    """
    return _ACTIVE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
