"""Whether a terminal tells modified keys apart: the kitty keyboard protocol, found out by asking the terminal.

The question for its flags is followed by one that every terminal answers, so that silence needs no long wait:
https://sw.kovidgoyal.net/kitty/keyboard-protocol/#detection-of-support-for-this-protocol
"""

from __future__ import annotations

import os
import re
import select
import sys
import time

QUESTION = b"\x1b[?u\x1b[c"
_SECONDS = 1.0
_FLAGS = re.compile(rb"\x1b\[\?\d+u")
_ATTRIBUTES = re.compile(rb"\x1b\[\?[\d;]*c")


def ask_keyboard(terminal: int, seconds: float = _SECONDS) -> bool | None:
    """Ask the terminal of a file descriptor, in raw mode for as long as it takes; its mode is given back.

    None where it does not answer in time, or cannot be asked, as on Windows.
    """
    if sys.platform == "win32":
        return None
    import termios
    import tty

    try:
        before = termios.tcgetattr(terminal)
    except termios.error:
        return None
    try:
        tty.setcbreak(terminal)
        os.write(terminal, QUESTION)
        return _read_answer(terminal, seconds)
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)


def _read_answer(terminal: int, seconds: float) -> bool | None:
    read, until = b"", time.monotonic() + seconds
    while not _ATTRIBUTES.search(read):
        ready, _, _ = select.select([terminal], [], [], max(until - time.monotonic(), 0))
        if not ready:
            return None
        piece = os.read(terminal, 1024)
        if not piece:
            return None
        read += piece
    return bool(_FLAGS.search(read))
