"""Host: this side of one engine. Starts it, hands requests over, passes events on, starts it again.

Knows nothing of which engine it is, nor of other hosts.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal

from workbench.engines.engine import (
    Chunk,
    EngineStatus,
    Event,
    Failure,
    Likelihood,
    Outcome,
    Progress,
    Request,
    Tokenized,
    Weighed,
    Weighing,
)
from workbench.errors import EngineError, ModelError, WorkbenchError
from workbench.hosting.link import Ending, Link
from workbench.hosting.wire import (
    Cancel,
    Command,
    Count,
    Counted,
    Events,
    Loading,
    Open,
    Opened,
    Refused,
    Reply,
    Shown,
    Submit,
    Tokenize,
    Told,
    Weigh,
)
from workbench.models.reference import Model, ModelInfo

Sink = Callable[[Event], None]
HostState = Literal["stopped", "loading", "ready", "failed"]

MOST_LOADS = 3
"""How often an engine is started for the same requests, where something else ends it while it loads."""

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Life:
    """One incarnation of the engine and all that waits for it.

    sent: what it was asked before its model was loaded, which the next one is asked again where this one is killed.
    loads_left: how many further ones may follow it.
    """

    link: Link
    loads_left: int = MOST_LOADS - 1
    sent: list[Command] = field(default_factory=list)
    info: ModelInfo | None = None
    status: EngineStatus | None = None
    refusal: Refused | None = None
    sinks: dict[int, Sink] = field(default_factory=dict)
    asks: dict[int, Future[Any]] = field(default_factory=dict)
    weighings: dict[int, Future[tuple[Likelihood, ...]]] = field(default_factory=dict)
    loads: list[Future[ModelInfo]] = field(default_factory=list)


class Host:
    """One model's engine, wherever it lives.

    Every method returns at once and may be called from any thread.
    """

    def __init__(self, command: Open, connect: Callable[[], Link]) -> None:
        self.model: Model = command.model
        self._command = command
        self._connect = connect
        self._lock = threading.Lock()
        self._tickets = itertools.count(1)
        self._life: _Life | None = None
        self._stopped: _Life | None = None
        self._info: ModelInfo | None = None
        self._failed = False

    @property
    def state(self) -> HostState:
        life = self._life
        if life is None:
            return "failed" if self._failed else "stopped"
        return "ready" if life.info else "loading"

    @property
    def pid(self) -> int | None:
        """The engine's process; None when it does not run, or lives in this one."""
        life = self._life
        return life.link.pid if life else None

    @property
    def info(self) -> ModelInfo | None:
        """What the engine said of its model when it was last loaded."""
        return self._info

    @property
    def status(self) -> EngineStatus | None:
        """What the engine last said it is doing; None while it does not run, or where it does not tell."""
        life = self._life
        return life.status if life else None

    def submit(self, request: Request, sink: Sink) -> None:
        """Answer a request; the sink gets its events, the last of them exactly once."""
        with self._lock:
            life = self._alive()
            life.sinks[request.id] = sink
            _send(life, Submit(request))

    def weigh(self, weighing: Weighing) -> Future[tuple[Likelihood, ...]]:
        """The likelihood of each answer; the future fails with a WorkbenchError."""
        future = _running_future()
        with self._lock:
            life = self._alive()
            life.weighings[weighing.id] = future
            _send(life, Weigh(weighing))
        return future

    def cancel(self, request_id: int) -> None:
        """End a request, whose last chunk says `cancelled`, or a weighing, which fails. Ended ones are ignored."""
        with self._lock:
            life = self._life
            if life and (request_id in life.sinks or request_id in life.weighings):
                _send(life, Cancel(request_id))

    def count(self, requests: Sequence[Request]) -> Future[tuple[int, ...]]:
        """The number of prompt tokens of each request."""
        return self._ask(lambda ticket: Count(ticket, tuple(requests)))

    def tokenize(self, request: Request) -> Future[Tokenized]:
        """The request as the model would see it."""
        return self._ask(lambda ticket: Tokenize(ticket, request))

    def load(self) -> Future[ModelInfo]:
        """Start the engine, if it is not running; the future ends when the model is loaded."""
        future = _running_future()
        with self._lock:
            life = self._alive()
            if life.info is None:
                life.loads.append(future)
                return future
        future.set_result(life.info)
        return future

    def stop(self) -> None:
        """End the engine, which frees its memory. What it was doing fails; the next request starts it."""
        with self._lock:
            life, self._life, self._failed = self._life, None, False
            self._stopped = life or self._stopped
        if life:
            life.link.stop()

    def join(self, seconds: float) -> None:
        """Wait for the end that `stop` asked for, at most so long."""
        if self._stopped:
            self._stopped.link.join(seconds)

    def _ask(self, command: Callable[[int], Command]) -> Future[Any]:
        future = _running_future()
        with self._lock:
            life, ticket = self._alive(), next(self._tickets)
            life.asks[ticket] = future
            _send(life, command(ticket))
        return future

    def _alive(self) -> _Life:
        """The running incarnation, or a new one. Call it under the lock."""
        if self._life is None:
            self._failed = False
            self._begin(_Life(self._connect()))
        assert self._life is not None
        return self._life

    def _begin(self, life: _Life) -> None:
        """Start an incarnation. Call it under the lock."""
        self._life = life
        life.link.send(self._command)
        life.link.start(lambda reply: self._take(life, reply), lambda ending: self._end(life, ending))

    def _start_over(self, killed: _Life, ending: Ending) -> bool:
        """Whether another incarnation takes over what a killed one was asked: one that was still loading, and that
        something else has ended. Called under the lock."""
        loading = killed.info is None and killed.refusal is None
        if self._life is not killed or not (loading and ending.from_outside and killed.loads_left):
            return False
        _log.warning("The engine of %s %s while it loaded; it is started again.", self.model.name, ending.manner)
        life = _Life(self._connect(), loads_left=killed.loads_left - 1)
        life.sinks, life.asks, life.weighings, life.loads = killed.sinks, killed.asks, killed.weighings, killed.loads
        self._begin(life)
        for command in killed.sent:
            if _is_wanted(life, command):
                _send(life, command)
        return True

    def _take(self, life: _Life, reply: Reply) -> None:
        """Pass a reply on; called on the link's thread."""
        match reply:
            case Events(events):
                for event in events:
                    self._give(life, event)
            case Loading(fraction):
                with self._lock:
                    requests = tuple(life.sinks)
                for request in requests:
                    self._give(life, Progress(request, "loading", fraction))
            case Told(status):
                life.status = status
            case Opened(info):
                self._open(life, info)
            case Counted(ticket, value) | Shown(ticket, value):
                with self._lock:
                    future = life.asks.pop(ticket)
                future.set_result(value)
            case Refused(None):
                life.refusal = reply
            case Refused(int(ticket), message, hint, details):
                with self._lock:
                    future = life.asks.pop(ticket)
                future.set_exception(EngineError(message, hint, details))

    def _open(self, life: _Life, info: ModelInfo) -> None:
        with self._lock:
            life.info = self._info = info
            loads, life.loads, life.sent = life.loads, [], []
        for future in loads:
            future.set_result(info)

    def _give(self, life: _Life, event: Outcome) -> None:
        """Hand an event to whoever waits for it: a sink, which is forgotten with its last one, or a future."""
        if event.request in life.weighings:
            self._settle(life, event)
            return
        if isinstance(event, Weighed):
            return
        last = isinstance(event, Failure) or (isinstance(event, Chunk) and event.stop_reason is not None)
        with self._lock:
            sink = life.sinks.pop(event.request, None) if last else life.sinks.get(event.request)
        if sink:
            _call(sink, event)

    def _settle(self, life: _Life, event: Outcome) -> None:
        if isinstance(event, Progress):
            return
        with self._lock:
            future = life.weighings.pop(event.request)
        match event:
            case Weighed(_, likelihoods):
                future.set_result(likelihoods)
            case Failure(_, message, hint, details):
                future.set_exception(EngineError(message, hint, details))
            case _:
                future.set_exception(EngineError("The weighing was called off.", "Run again."))

    def _end(self, life: _Life, ending: Ending) -> None:
        """The engine is gone: whatever waited for it is told why. Called on the link's thread, last."""
        error = self._explain(life, ending)
        with self._lock:
            if self._start_over(life, ending):
                return
            if self._life is life:
                self._life, self._failed = None, True
            sinks, life.sinks = life.sinks, {}
            futures: list[Future[Any]] = [*life.asks.values(), *life.weighings.values(), *life.loads]
            life.asks, life.weighings, life.loads = {}, {}, []
        for request, sink in sinks.items():
            _call(sink, Failure(request, error.message, error.hint, error.details))
        for future in futures:
            future.set_exception(error)

    def _explain(self, life: _Life, ending: Ending) -> WorkbenchError:
        if life.refusal:
            return ModelError(life.refusal.message, life.refusal.hint, life.refusal.details or ending.last_words)
        if self._life is not life:
            return EngineError(f"{self.model.name} was unloaded while it was at work.", "Run again to load it anew.")
        task = "while it worked" if life.info else f"while it loaded {self.model.path}"
        hint = "Run again: the engine is started anew."
        if not life.info and not life.loads_left:
            task += f", {MOST_LOADS} times in a row"
        if "SIGKILL" in ending.manner:
            hint += " If this repeats, memory may be short: close other models, or choose a smaller context."
        return EngineError(f"The engine of {self.model.name} {ending.manner} {task}.", hint, ending.last_words)


def _send(life: _Life, command: Command) -> None:
    """Ask an incarnation; under the lock."""
    if life.info is None:
        life.sent.append(command)
    life.link.send(command)


def _is_wanted(life: _Life, command: Command) -> bool:
    """Whether somebody still waits for what a command brings."""
    match command:
        case Submit(request):
            return request.id in life.sinks
        case Weigh(weighing):
            return weighing.id in life.weighings
        case Cancel(request):
            return request in life.sinks or request in life.weighings
        case Count(ticket) | Tokenize(ticket):
            return ticket in life.asks
    return False


def _call(sink: Sink, event: Event) -> None:
    try:
        sink(event)
    except Exception:  # noqa: BLE001  a sink that fails must not silence the other sinks
        _log.exception("a sink failed on %r", event)


def _running_future() -> Future[Any]:
    """A future that its holder cannot cancel, so that setting its result never fails."""
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()
    return future
