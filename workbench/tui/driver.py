"""TerminalDriver: Textual's driver of a Unix terminal, which continues after a SIGSTOP, and ends with its terminal.

Textual starts its terminal mode anew at every SIGCONT (textual/drivers/linux_driver.py). After a mere SIGSTOP that mode
was never left: a second thread would read the keys, and the mode that was on would be taken for the shell's, which then
gets it back at the end.

A terminal that is gone sends SIGHUP only to processes whose controlling terminal it is. Others read its end again and
again in Textual's input thread, at the cost of a whole core, so they are sent the signal from here.

A terminal that is asked for its background replies among the keys; the reply is taken out of them here.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import select
import signal
import termios
import threading
import time
from collections.abc import Iterable
from typing import Any

from textual._parser import ParseError
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from workbench.tui.terminal_background import (
    QUESTION,
    REPLY_SECONDS,
    ReplyFilter,
    TerminalBackground,
    can_ask,
    is_dark,
)

_WATCH_MILLISECONDS = 500
_READ_SECONDS = 0.1
_READ_BYTES = 4096


class TerminalDriver(LinuxDriver):
    """As its base, but a mode is started only where it was left before."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._is_suspended = False
        self._own: list[Any] | None = None
        self._replies = ReplyFilter()
        self._asked = 0.0
        super().__init__(*arguments, **options)

    def _ask_background(self) -> None:
        """Have the app sent a TerminalBackground, if the terminal replies in time. Waits for nothing."""
        self._asked = time.monotonic()
        self._replies.awaited = True
        self.write(QUESTION)
        self.flush()

    def run_input_thread(self) -> None:
        """Read keys until the app ends; as in the base, but for the replies of the terminal."""
        if os.isatty(self.fileno):
            threading.Thread(target=self._watch_terminal, name="terminal watch", daemon=True).start()
        parser = XTermParser(self._debug)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        try:
            while not self.exit_event.is_set():
                keys = self._read_keys(decoder)
                self._process(parser.feed(keys) if keys else ())
                self._process(parser.tick())
        except OSError:  # the terminal is gone
            return
        finally:
            with contextlib.suppress(EOFError, ParseError):
                for _ in parser.feed(""):
                    pass

    def _read_keys(self, decoder: codecs.IncrementalDecoder) -> str:
        """What came within a moment, without replies."""
        if not select.select([self.fileno], [], [], _READ_SECONDS)[0]:
            return self._replies.tick()
        read = os.read(self.fileno, _READ_BYTES)
        if not read:
            self.exit_event.wait(_READ_SECONDS)
        keys = self._replies.feed(decoder.decode(read))
        if time.monotonic() - self._asked > REPLY_SECONDS:
            self._replies.awaited = False
        for reply in self._replies.replies:
            dark = is_dark(reply)
            if self._replies.awaited and dark is not None:
                self.process_message(TerminalBackground(dark))
            self._replies.awaited = False
        self._replies.replies.clear()
        return keys

    def _process(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self.process_message(message)

    def _watch_terminal(self) -> None:
        """End the app when nobody is at the other side of the terminal any more."""
        watch = select.poll()
        watch.register(self.fileno, 0)  # hang-ups and errors are always reported
        while not self.exit_event.is_set():
            if watch.poll(_WATCH_MILLISECONDS):
                os.kill(os.getpid(), signal.SIGHUP)
                return

    def start_application_mode(self) -> None:
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if _is_in_front(self.fileno):
            self._is_suspended = False
            self._own = _read_settings(self.fileno)
        if self._writer_thread is not None and not self._asked and self.input_tty and can_ask(os.environ):
            self._ask_background()

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
