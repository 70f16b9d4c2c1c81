"""The app in a process and a terminal of its own, for what a signal, a kill or a closed terminal leaves."""

from __future__ import annotations

import os
import pty
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from fcntl import ioctl
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_START = f"""
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
sys.path.append({str(_ROOT)!r})
from workbench.tui import typed_text
typed_text.KEEP_SECONDS = float(sys.argv.pop(1))
from workbench.__main__ import main
sys.exit(main())
"""
_PATIENCE = 120


class TerminalApp:
    """Open a bench. keep_seconds: after which what is typed is kept."""

    def __init__(self, bench: Path, keep_seconds: float) -> None:
        self._ours, theirs = pty.openpty()
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self._before = termios.tcgetattr(theirs)
        self._theirs = theirs
        self._output = b""
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START, str(keep_seconds), bench.name],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=bench.parent,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color"},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def wait_for_output(self, text: str) -> None:
        with self._changed:
            found = self._changed.wait_for(lambda: text.encode() in self._output, _PATIENCE)
        assert found, f"{text!r} was never drawn:\n{self._output[-3000:]!r}"

    @property
    def output(self) -> str:
        return self._output.decode("utf-8", "replace")

    @property
    def is_terminal_restored(self) -> bool:
        return termios.tcgetattr(self._theirs) == self._before

    def close_terminal(self) -> None:
        """As when its window is closed."""
        os.close(self._theirs)
        self._theirs = -1
        os.close(self._ours)
        self._ours = -1

    def wait(self) -> int:
        return self.process.wait(_PATIENCE)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for descriptor in (self._theirs, self._ours):
            if descriptor >= 0:
                os.close(descriptor)

    def _read(self) -> None:
        while True:
            try:
                read = os.read(self._ours, 65536)
            except OSError:
                return
            with self._changed:
                self._output += read
                self._changed.notify_all()


def wait_until(condition: Callable[[], bool]) -> None:
    """Ask again and again; the test fails when it never comes true."""
    until = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < until, f"never came true: {condition}"
        threading.Event().wait(0.02)
