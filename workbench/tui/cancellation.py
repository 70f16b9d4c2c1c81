"""Cancellation: ends work that blocks a thread, from another one."""

from __future__ import annotations

from collections.abc import Callable


class Cancellation:
    """cancelled: whether anybody cancelled the work."""

    def __init__(self) -> None:
        self.cancelled = False
        self._abort: Callable[[], object] | None = None

    def cancel(self) -> None:
        """End the work soon."""
        self.cancelled = True
        if self._abort is not None:
            self._abort()

    def on_cancel(self, abort: Callable[[], object]) -> None:
        """abort: ends what the work is doing now; called at once if it was cancelled before."""
        self._abort = abort
        if self.cancelled:
            abort()
