"""Inert text: what a model, a file or another program wrote, made safe to put on a terminal.

Knows nothing of colours, markup or where the text is shown. Every character becomes exactly one character, so
offsets stay, and pieces of a stream may be treated one by one.
"""

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
    0x2028: _NEWLINE,
    0x2029: _NEWLINE,
    **dict.fromkeys(range(0x202A, 0x202F), _REPLACEMENT),  # bidirectional embeddings and overrides
    **dict.fromkeys(range(0x2066, 0x206A), _REPLACEMENT),  # bidirectional isolates
    **dict.fromkeys(range(0xFFF9, 0xFFFC), _REPLACEMENT),  # interlinear annotations hide text
    **dict.fromkeys(range(0xD800, 0xE000), _REPLACEMENT),  # lone surrogates cannot be written as UTF-8
}
_ACTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff]")


def make_inert(text: str) -> str:
    """The text with everything that could steer a terminal replaced by a visible sign.

    Line feeds and tabs stay; other control characters become their control pictures (escape is shown as `␛`);
    C1 controls, bidirectional overrides and isolates and lone surrogates become U+FFFD; line separators
    become `␤`. Right-to-left letters, emoji and their joiners are left as they are.
    """
    return _ACTIVE.sub(lambda match: _REPLACED[ord(match[0])], text)
