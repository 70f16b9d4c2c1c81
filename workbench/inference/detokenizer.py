"""Bytes of tokens to whole characters, one token at a time.

Bytes that can never become UTF-8 turn into the replacement character.
"""

from __future__ import annotations

import codecs


class Detokenizer:
    """Holds a character's first bytes back until its last ones come."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, piece: bytes) -> str:
        """The characters that are whole now."""
        return self._decoder.decode(piece)

    def flush(self) -> str:
        """The replacement character for a character that was cut off; else nothing."""
        return self._decoder.decode(b"", final=True)
