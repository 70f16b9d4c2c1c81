"""TerminalDriver: Textual's driver of a Unix terminal, which goes on after a SIGSTOP, and ends with its terminal.

Textual starts its terminal mode anew at every SIGCONT (textual/drivers/linux_driver.py). After a mere SIGSTOP that mode
was never left: a second thread would read the keys, and the mode that was on would be taken for the shell's, which then
gets it back at the end.

A terminal that is gone sends SIGHUP only to processes whose controlling terminal it is. Others read its end again and
again in Textual's input thread, at the cost of a whole core, so they are sent the signal from here.

Knows nothing of screens.
"""

from __future__ import annotations

import os
import select
import signal
import termios
import threading
from typing import Any

from textual.drivers.linux_driver import LinuxDriver

_WATCH_MILLISECONDS = 500


class TerminalDriver(LinuxDriver):
    """As its base, but a mode is started only where it was left before."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._is_suspended = False
        self._own: list[Any] | None = None
        super().__init__(*arguments, **options)

    def run_input_thread(self) -> None:
        if os.isatty(self.fileno):
            threading.Thread(target=self._watch_terminal, name="terminal watch", daemon=True).start()
        super().run_input_thread()

    def _watch_terminal(self) -> None:
        """End the app when nobody is at the other side of the terminal any more."""
        watch = select.poll()
        watch.register(self.fileno, 0)  # hang-ups and errors are always told
        while not self.exit_event.is_set():
            if watch.poll(_WATCH_MILLISECONDS):
                os.kill(os.getpid(), signal.SIGHUP)
                return

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
