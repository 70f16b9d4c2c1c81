"""The loop around an engine: commands in, replies out, a step whenever the engine has work.

Knows nothing of pipes (child.py) or threads (local.py), nor of which engine it drives.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Protocol

from workbench.engines.engine import Chunk, Engine, Failure, Progress, Request, Weighing
from workbench.errors import WorkbenchError
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

Advance = Callable[[float | None], bool]
"""Told how far a load is; False asks the load to stop."""


REPORTED = 0.04
"""Part of a load after which it is reported again: native code reports every tensor."""


TOLD = 0.5
"""Seconds between two reports of what the engine is doing."""


class Opener(Protocol):
    """Loads the engine that a model needs; raises ModelError."""

    def __call__(self, command: Open, advance: Advance) -> Engine: ...


class Service:
    """One engine's life, from the Open command to the end of the inbox (None)."""

    def __init__(self, opener: Opener, inbox: SimpleQueue[Command | None], send: Callable[[Reply], None]) -> None:
        self._opener = opener
        self._inbox = inbox
        self._send = send
        self._waiting: list[Command] = []
        self._ended = False
        self._loaded = 0.0
        self._engine: Engine | None = None
        self._told = 0.0

    def run(self) -> None:
        """Serve until the inbox ends. What the engine raises in a step is a defect and is not caught here."""
        command = self._inbox.get()
        if not isinstance(command, Open):
            return
        engine = self._open(command)
        if engine is None:
            return
        self._engine = engine
        try:
            self._serve(engine)
        finally:
            engine.close()

    def interrupt(self, command: Command) -> None:
        """Let a step end early that a cancel ends, or that keeps someone waiting; called where commands come in."""
        engine = self._engine
        if engine is None:
            return
        if isinstance(command, Cancel):
            engine.interrupt(command.request)
        elif _is_awaited(command):
            engine.make_way(id(command))

    def _open(self, command: Open) -> Engine | None:
        self._send(Loading(0.0))
        try:
            engine = self._opener(command, self._advance)
        except WorkbenchError as error:
            self._send(Refused(None, error.message, error.hint, error.details))
            return None
        except Exception as error:  # noqa: BLE001  whatever a foreign file does to a loader, a person gets a message
            self._send(
                Refused(
                    None,
                    f"{command.model.path} could not be loaded: {type(error).__name__}: {error}.",
                    "Choose another model, or convert this one again.",
                    traceback.format_exc(),
                )
            )
            return None
        self._send(Opened(engine.info))
        return engine

    def _advance(self, fraction: float | None) -> bool:
        """Report the load, and let go of requests that are cancelled before it ends."""
        if fraction is None or not self._loaded <= fraction < self._loaded + REPORTED:
            self._loaded = fraction or 0.0
            self._send(Loading(fraction))
        while not self._ended:
            try:
                self._keep(self._inbox.get_nowait())
            except Empty:
                break
        return not self._ended

    def _keep(self, command: Command | None) -> None:
        if command is None:
            self._ended = True
        elif isinstance(command, Cancel) and (found := self._find_waiting(command.request)):
            self._waiting.remove(found)
            self._send(Events((Chunk(command.request, stop_reason="cancelled"),)))
        else:
            self._waiting.append(command)

    def _find_waiting(self, id: int) -> Submit | Weigh | None:
        asked = (command for command in self._waiting if isinstance(command, (Submit, Weigh)))
        return next((command for command in asked if _subject(command).id == id), None)

    def _serve(self, engine: Engine) -> None:
        for command in self._waiting:
            self._obey(engine, command)
        while not self._ended:
            self._drain(engine)
            if not self._ended and engine.busy and (events := engine.step()):
                self._send(Events(tuple(events)))
            self._tell(engine)

    def _tell(self, engine: Engine) -> None:
        """Say what the engine is doing: now and then, and when it comes to rest."""
        now = time.monotonic()
        if (not engine.busy or now >= self._told + TOLD) and (status := engine.status):
            self._told = now
            self._send(Told(status))

    def _drain(self, engine: Engine) -> None:
        """Obey what has come; wait for a command only while the engine has nothing to do."""
        while not self._ended:
            try:
                command = self._inbox.get(block=not engine.busy)
            except Empty:
                return
            if command is None:
                self._ended = True
            else:
                self._obey(engine, command)

    def _obey(self, engine: Engine, command: Command) -> None:
        engine.go_on(id(command))
        match command:
            case Submit(request):
                self._begin(request, lambda: engine.submit(request))
            case Weigh(weighing):
                self._begin(weighing, lambda: engine.weigh(weighing))
            case Cancel(request_id):
                engine.cancel(request_id)
            case Count(ticket, requests):
                self._reply(ticket, lambda: Counted(ticket, engine.count(requests)))
            case Tokenize(ticket, request):
                self._reply(ticket, lambda: Shown(ticket, engine.tokenize(request)))
            case Open():
                raise AssertionError("a second Open: the host opens a model once")

    def _begin(self, request: Request | Weighing, take: Callable[[], None]) -> None:
        try:
            take()
        except WorkbenchError as error:
            self._send(Events((Failure(request.id, error.message, error.hint, error.details),)))
        except Exception as error:  # noqa: BLE001  one bad request must not end the others
            message = f"The engine could not take the request: {type(error).__name__}: {error}."
            self._send(Events((Failure(request.id, message, "", traceback.format_exc()),)))
        else:
            self._send(Events((Progress(request.id, "queued"),)))

    def _reply(self, ticket: int, answer: Callable[[], Reply]) -> None:
        try:
            self._send(answer())
        except WorkbenchError as error:
            self._send(Refused(ticket, error.message, error.hint, error.details))
        except Exception as error:  # noqa: BLE001  as in _submit
            message = f"The engine could not do that: {type(error).__name__}: {error}."
            self._send(Refused(ticket, message, "", traceback.format_exc()))


def _subject(command: Submit | Weigh) -> Request | Weighing:
    return command.request if isinstance(command, Submit) else command.weighing


def _is_awaited(command: Command) -> bool:
    """Whether someone sits before the screen and waits for what comes of it."""
    match command:
        case Submit() | Weigh():
            return _subject(command).priority == 0
        case Count(_, requests):
            return any(request.priority == 0 for request in requests)
        case _:
            return isinstance(command, Tokenize)
