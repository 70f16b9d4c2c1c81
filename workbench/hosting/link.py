"""Link: what a host needs of the other side, whether that is a process or a thread.

Knows nothing of requests or sinks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from workbench.hosting.wire import Command, Reply


class Ending(NamedTuple):
    """How the other side ended: one sentence part such as `was killed (SIGKILL)`, and its last words.

    from_outside: something else ended it, and not what it did, so that it may well go better another time.
    """

    manner: str
    last_words: str
    from_outside: bool = False


class Link(Protocol):
    """A running engine as seen from here; each incarnation is a new one.

    `on_reply` and `on_end` are called on one thread of the link's own, in order; `on_end` once, last. Only the
    refusal of a command that could not be sent may come from another.
    """

    @property
    def pid(self) -> int | None:
        """The process's id; None for one that lives in this process."""
        ...

    def start(self, on_reply: Callable[[Reply], None], on_end: Callable[[Ending], None]) -> None:
        """Begin; returns at once."""
        ...

    def send(self, command: Command) -> None:
        """Hand a command over; never waits, and does nothing once the other side has ended."""
        ...

    def stop(self) -> None:
        """End it now; returns at once, `on_end` follows."""
        ...

    def join(self, seconds: float) -> None:
        """Wait until `on_end` was called, at most so long."""
        ...
