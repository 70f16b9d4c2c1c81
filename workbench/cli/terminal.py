"""The two streams of a command: stdout is data, stderr is everything else.

Knows nothing of commands. Foreign text is made inert where a terminal would act on it, and left raw in a pipe.
"""

from __future__ import annotations

import sys

from workbench.errors import WorkbenchError
from workbench.sanitize import sanitize

OK = 0
FAILED = 1
USAGE = 2
INTERRUPTED = 130


def is_there() -> bool:
    """Whether a person sits at both ends, so that a screen can be opened."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def write(text: str) -> None:
    """Put data on stdout at once: inert on a terminal, byte for byte in a pipe."""
    sys.stdout.write(sanitize(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def say(text: str, end: str = "\n") -> None:
    """Tell a person something, on stderr."""
    sys.stderr.write(sanitize(text) + end)
    sys.stderr.flush()


def complain(error: WorkbenchError) -> None:
    """Show an error: what it is, and what to do."""
    say(f"workbench: {error.message}")
    if error.hint:
        say(f"  {error.hint}")
