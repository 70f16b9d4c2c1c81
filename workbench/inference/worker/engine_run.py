"""One incarnation of an engine, and all that waits for it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from workbench.inference.model_client import EventHandler
from workbench.inference.types import EngineStatus, Failure, Likelihood
from workbench.inference.worker.process import WorkerExit
from workbench.inference.worker.protocol import (
    CancelRequest,
    Command,
    CommandFailed,
    EngineEvents,
    FitPrompt,
    LoadModel,
    Reply,
    SubmitGenerate,
    SubmitLoglikelihood,
    Tokenize,
)
from workbench.models.reference import ModelInfo

MAX_LOADS = 3
"""How often an engine is started for the same requests, where something else ends it while it loads."""


class Transport(Protocol):
    """The way to a running engine, in a process (process.py) or a thread (thread.py); each incarnation is a new one.

    `on_reply` and `on_exit` are called on one thread of the transport's own, in order; `on_exit` once, last.
    """

    @property
    def pid(self) -> int | None:
        """The process's id; None for one that lives in this process."""
        ...

    def start(self, on_reply: Callable[[Reply], None], on_exit: Callable[[WorkerExit], None]) -> None:
        """Begin; returns at once."""
        ...

    def send(self, message: Command) -> None:
        """Hand a command over; never waits, and does nothing once the engine has ended. Raises for one that cannot be
        packed."""
        ...

    def stop(self) -> None:
        """End it now; returns at once, `on_exit` follows."""
        ...

    def join(self, seconds: float) -> None:
        """Wait until `on_exit` was called, at most so long."""
        ...


@dataclass(eq=False)
class EngineRun:
    """One incarnation of the engine and all that waits for it.

    sent: what it was asked before its model was loaded, which the next one is asked again where this one is killed.
    loads_left: how many further ones may follow it.
    """

    transport: Transport
    loads_left: int = MAX_LOADS - 1
    sent: list[Command] = field(default_factory=list)
    info: ModelInfo | None = None
    status: EngineStatus | None = None
    refusal: CommandFailed | None = None
    handlers: dict[int, EventHandler] = field(default_factory=dict)
    calls: dict[int, Future[Any]] = field(default_factory=dict)
    likelihoods_due: dict[int, Future[tuple[Likelihood, ...]]] = field(default_factory=dict)
    loads: list[Future[ModelInfo]] = field(default_factory=list)

    @property
    def busy(self) -> bool:
        """Whether anybody waits for anything of it."""
        return bool(self.handlers or self.calls or self.likelihoods_due or self.loads)

    def send(self, command: Command) -> Reply | None:
        """Ask it; under the supervisor's lock. What to dispatch after it, for a command that cannot be sent."""
        try:
            self.transport.send(command)
        except Exception as error:  # noqa: BLE001  whatever a value holds, its sender must hear of it
            return _reject(command, f"The request cannot be sent to the engine: {error}.")
        if self.info is None and not isinstance(command, LoadModel):
            self.sent.append(command)
        return None

    def waits_for(self, command: Command) -> bool:
        """Whether somebody still waits for what a command brings."""
        match command:
            case SubmitGenerate(request):
                return request.id in self.handlers
            case SubmitLoglikelihood(request):
                return request.id in self.likelihoods_due
            case CancelRequest(request):
                return request in self.handlers or request in self.likelihoods_due
            case FitPrompt(call_id) | Tokenize(call_id):
                return call_id in self.calls
        return False


def _reject(command: Command, message: str) -> Reply | None:
    hint = "Look for half characters in the text, or numbers that are too large in the settings."
    match command:
        case SubmitGenerate(request) | SubmitLoglikelihood(request):
            return EngineEvents((Failure(request.id, message, hint),))
        case FitPrompt(call_id) | Tokenize(call_id):
            return CommandFailed(call_id, message, hint)
        case LoadModel():
            return CommandFailed(None, message, hint)
    return None
