"""TerminalDriver: Textual's driver of a Unix terminal, which also goes on after a SIGSTOP that nobody announced.

Textual starts its terminal mode anew at every SIGCONT (textual/drivers/linux_driver.py). After a mere SIGSTOP that mode
was never left: a second thread would read the keys, and the mode that was on would be taken for the shell's, which then
gets it back at the end. Knows nothing of screens.
"""

from __future__ import annotations

import os
import termios
from typing import Any

from textual.drivers.linux_driver import LinuxDriver


class TerminalDriver(LinuxDriver):
    """As its base, but a mode is started only where it was left before."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._is_suspended = False
        self._own: list[Any] | None = None
        super().__init__(*arguments, **options)

    def start_application_mode(self) -> None:
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if _is_in_front(self.fileno):
            self._is_suspended = False
            self._own = _read_settings(self.fileno)

    def suspend_application_mode(self) -> None:
        super().suspend_application_mode()
        self._is_suspended = True

    def resume_application_mode(self) -> None:
        if self._is_suspended:
            super().resume_application_mode()
        else:
            self._loop.call_soon_threadsafe(self._take_up)  # this is a signal handler

    def _take_up(self) -> None:
        """The shell may have set the terminal as it likes it meanwhile, and written on it."""
        if self._own is not None and _is_in_front(self.fileno):
            termios.tcsetattr(self.fileno, termios.TCSANOW, self._own)
        self._app.refresh(layout=True)


def _is_in_front(terminal: int) -> bool:
    """Whether this process may set the terminal: one in the background is stopped for trying."""
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False


def _read_settings(terminal: int) -> list[Any] | None:
    try:
        return termios.tcgetattr(terminal)
    except termios.error:
        return None
