"""Whether a terminal is light or dark: the question that asks it for its background, and its reply among the keys.

Knows no driver. The reply comes with what is typed, whole or in parts, early, late or never.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from textual.message import Message

QUESTION = "\x1b]11;?\x1b\\"
"""OSC 11 of xterm's control sequences"""
REPLY_SECONDS = 2.0
"""after which a reply is thrown away: a screen does not change its colours under a person's hands"""

_REPLY = re.compile(r"\x1b\]11;([^\x07\x1b\x9c]{0,40})(?:\x07|\x1b\\|\x9c)")
_BEGUN = re.compile(r"\x1b(?:\](?:1(?:1(?:;[^\x07\x1b\x9c]{0,40}\x1b?)?)?)?)?\Z")
_COLOR = re.compile(r"rgba?:([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})(?:/[0-9a-fA-F]{1,4})?\Z")
_SILENT_TERMINALS = ("dumb", "unknown", "linux", "vt52", "vt100", "vt102", "vt220")
"""which print what they do not know, or have no such colour"""
_TYPED = 2
"""characters of a begun reply that a person may have typed as well: escape, or alt and a bracket"""


class TerminalBackground(Message):
    """The terminal has said what its background is."""

    def __init__(self, dark: bool) -> None:
        super().__init__()
        self.dark = dark


class ReplyFilter:
    """Takes replies out of what a terminal sends."""

    def __init__(self) -> None:
        self.replies: list[str] = []
        self.awaited = False
        """whether a lone escape at the end of what came may be the beginning of a reply"""
        self._held = ""

    def feed(self, data: str) -> str:
        """What is left for the keys of this and of what was held."""
        data = self._held + data
        self.replies += _REPLY.findall(data)
        data = _REPLY.sub("", data)
        begun = _BEGUN.search(data)
        self._held = begun[0] if begun and (len(begun[0]) > 1 or self.awaited) else ""
        return data[: len(data) - len(self._held)]

    def tick(self) -> str:
        """What was held and is no reply, called when nothing has come for a moment."""
        if not 0 < len(self._held) <= _TYPED:
            return ""
        held, self._held = self._held, ""
        return held


def can_ask(environment: Mapping[str, str]) -> bool:
    """Whether the terminal understands the question, or ignores it."""
    return environment.get("TERM", "") not in ("", *_SILENT_TERMINALS)


def is_dark(reply: str) -> bool | None:
    """What a reply such as `rgb:1414/1616/1f1f` means; None for one that names no colour."""
    found = _COLOR.match(reply)
    if found is None:
        return None
    red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in found.groups())
    return bool(0.299 * red + 0.587 * green + 0.114 * blue < 0.5)


def assume_dark(environment: Mapping[str, str]) -> bool:
    """What is taken until the terminal has replied: what COLORFGBG says, else dark."""
    number = environment.get("COLORFGBG", "").rpartition(";")[2]
    return number not in ("7", "15")
