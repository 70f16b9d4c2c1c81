"""What goes to the servers of a model and comes back: the figures that an engine on this machine would report."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from workbench.inference.remote.clock import RequestClock
from workbench.inference.remote.dialects.protocol import StreamedAnswer
from workbench.inference.remote.server import ModelServer
from workbench.inference.types import EngineStatus

_SECONDS = 5.0
"""Over which the speed is taken."""


class Traffic:
    """Token counts are those that servers told. Its status may be read from any thread."""

    def __init__(self, servers: Sequence[ModelServer], clock: RequestClock) -> None:
        self._servers, self._clock = tuple(servers), clock
        self._prefilled = self._cached = self._decoded = 0
        self._recent: deque[tuple[float, int]] = deque(maxlen=1000)

    def note(self, answer: StreamedAnswer) -> None:
        """An answer has come."""
        cached, output = answer.cached_tokens or 0, answer.output_tokens or 0
        self._prefilled += max((answer.prompt_tokens or 0) - cached, 0)
        self._cached += cached
        self._decoded += output
        self._recent.append((self._clock.monotonic(), output))

    @property
    def status(self) -> EngineStatus:
        """Requests that are sent and that wait here; a server's threads and memory are not known."""
        since = self._clock.monotonic() - _SECONDS
        lately = sum(tokens for at, tokens in tuple(self._recent) if at >= since)
        running = sum(server.queue.running for server in self._servers)
        outstanding = sum(server.queue.outstanding for server in self._servers)
        return EngineStatus(
            tokens_per_second=lately / _SECONDS,
            running=running,
            waiting=max(outstanding - running, 0),
            prefill_tokens=self._prefilled,
            cached_tokens=self._cached,
            completion_tokens=self._decoded,
            threads=0,
            cores=0,
        )
