"""A program in a child process, on a pseudo-terminal whose bytes are kept."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]


class Terminal:
    """folder: where programs run, with their home in it. size: columns and rows."""

    def __init__(self, folder: Path, size: tuple[int, int] = (120, 40)) -> None:
        self.told = b""
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.before = termios.tcgetattr(theirs)
        self.theirs, self.folder = theirs, folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, command: list[str]) -> None:
        """Run a program on it, in the folder."""
        home = str(self.folder / "home")
        inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        environment = {  # pytest's workers may bear a size of their own, which would come before the terminal's
            **inherited, "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'tests'}", "WORKBENCH_HOME": home, "HOME": home,
            "TERM": "xterm-256color", "COLORTERM": "truecolor",
        }  # fmt: skip
        self.process = subprocess.Popen(
            command, cwd=self.folder, env=environment, stdin=self.theirs, stdout=self.theirs, stderr=self.theirs,
            start_new_session=True,
        )  # fmt: skip

    def read(self, seconds: float = 0.2) -> int:
        """Take what comes until nothing has come for a while; how much it was."""
        before = len(self.told)
        while select.select([self.ours], [], [], seconds)[0]:
            try:
                self.told += os.read(self.ours, 65536)
            except OSError:
                break
        return len(self.told) - before

    def wait_for(self, text: str, seconds: float = 90) -> None:
        end = time.monotonic() + seconds
        start = len(self.told)
        while text.encode() not in self.told[start:]:
            assert time.monotonic() < end, f"{text!r} never came; the last was {self.text[-2000:]!r}"
            assert self.process is None or self.process.poll() is None, f"the app ended: {self.text[-3000:]}"
            self.read(0.1)

    def wait(self, seconds: float) -> int:
        """Read on until the program has ended; its exit code."""
        assert self.process is not None
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < end, self.text[-3000:]
            self.read(0.1)
        self.read()
        return self.process.returncode

    def press(self, keys: str) -> None:
        """Send keys and take the picture that they make."""
        os.write(self.ours, keys.encode())
        self.read(0.4)

    @property
    def text(self) -> str:
        return self.told.decode("utf-8", "surrogateescape")

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(120)
        if self.ours >= 0:
            os.close(self.ours)
        os.close(self.theirs)

    def hang_up(self) -> None:
        """Close the terminal's window, so to say: the program is on its own."""
        os.close(self.ours)
        self.ours = -1
