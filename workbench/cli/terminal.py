"""The two streams of a command: stdout is data, stderr is everything else.

Text for people is sanitized, on a terminal and in a pipe, which often ends at one; data keep every byte in a pipe, and
JSON escapes what a terminal would act on.
"""

from __future__ import annotations

import sys

from workbench.errors import WorkbenchError
from workbench.sanitize import escape_json, sanitize

OK = 0
FAILED = 1
USAGE = 2
INTERRUPTED = 130


def is_interactive() -> bool:
    """Whether stdin and stdout are a terminal, so that the screen can be opened."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def write(text: str) -> None:
    """Put what a person reads on stdout at once."""
    sys.stdout.write(sanitize(text))
    sys.stdout.flush()


def write_json(text: str) -> None:
    """Put encoded JSON on stdout at once: exactly these data, in bytes that steer no terminal."""
    sys.stdout.write(escape_json(text))
    sys.stdout.flush()


def write_data(text: str) -> None:
    """Put an answer on stdout at once: byte for byte in a pipe, sanitised on a terminal."""
    sys.stdout.write(sanitize(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def log(text: str, end: str = "\n") -> None:
    """Log a line on stderr."""
    sys.stderr.write(sanitize(text) + end)
    sys.stderr.flush()


def log_error(error: WorkbenchError) -> None:
    """Log an error: what it is, and what to do."""
    log(f"workbench: {error.message}")
    if error.hint:
        log(f"  {error.hint}")
