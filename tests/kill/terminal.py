"""A pseudo-terminal that a program has for its own: typed into, read all the time, closed like a window.

Its line settings can be looked at after the program has ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

_MODE = re.compile(rb"\x1b\[\?([\d;]+)([hl])")
_AT_REST = {25: True, 1000: False, 1002: False, 1003: False, 1004: False, 1006: False, 1049: False, 2004: False}
"""private mode -> whether it is on in a terminal that nothing has changed: 25 the cursor, 1049 the other screen, 2004
pasting in brackets, 1000 to 1006 the mouse and the focus"""


class PseudoTerminal:
    """One program in a session of its own, this its controlling terminal."""

    def __init__(self, command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
        self._before = termios.tcgetattr(self._slave)
        self.process = subprocess.Popen(
            command,
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            cwd=folder,
            env={**environment, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        self.seen = bytearray()
        self._closed = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def type(self, text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(self._master, text.encode())

    def hang_up(self) -> None:
        """Close it as a window is closed: whoever it controls gets SIGHUP, and can write nothing any more."""
        if not self._closed:
            self._closed = True
            os.close(self._slave)
            os.close(self._master)

    def find_changes(self) -> Iterator[str]:
        """What is not as it was before the program began; for one that has ended."""
        self._reader.join(1)  # the last bytes
        if termios.tcgetattr(self._slave) != self._before:
            yield "the terminal's line settings were not restored"
        modes = dict(_AT_REST)
        for numbers, letter in _MODE.findall(bytes(self.seen)):
            for number in numbers.split(b";"):
                modes[int(number)] = letter == b"h"
        yield from (f"the terminal's mode {mode} was left on" for mode in _AT_REST if modes[mode] != _AT_REST[mode])

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while data := os.read(self._master, 65536):
                self.seen += data


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
