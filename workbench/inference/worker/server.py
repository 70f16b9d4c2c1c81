"""The loop around an engine: commands in, replies out, a step whenever the engine has work.

It runs in a process of its own (main.py) or in a thread (thread.py), and drives whichever engine is opened.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Protocol

import msgspec

from workbench.errors import WorkbenchError
from workbench.inference.types import (
    Admitted,
    Chunk,
    Engine,
    Event,
    Failure,
    GenerateRequest,
    LoglikelihoodRequest,
    LoglikelihoodResult,
    Outcome,
    Progress,
    is_last,
)
from workbench.inference.worker.protocol import (
    CancelRequest,
    Command,
    CommandFailed,
    EngineEvents,
    FitPrompt,
    LoadingProgress,
    LoadModel,
    ModelLoaded,
    PromptFitted,
    Reply,
    StatusReport,
    SubmitGenerate,
    SubmitLoglikelihood,
    Tokenize,
    TokenizeResult,
)
from workbench.inference.worker.request_fit import fit_request, measure_request

LoadProgress = Callable[[float | None], bool]
"""Told how far a load is; False asks the load to stop."""


PROGRESS_STEP = 0.04
"""Part of a load after which it is reported again: native code reports every tensor."""


STATUS_SECONDS = 0.5
"""Seconds between two reports of what the engine is doing."""


class EngineLoader(Protocol):
    """Loads the engine that a model needs; raises ModelError."""

    def __call__(self, command: LoadModel, advance: LoadProgress) -> Engine: ...


class EngineServer:
    """One engine, from the command that loads its model to the end of the inbox (None)."""

    def __init__(self, opener: EngineLoader, inbox: SimpleQueue[Command | None], send: Callable[[Reply], None]) -> None:
        self._opener = opener
        self._inbox = inbox
        self._send = send
        self._waiting: list[Command] = []
        self._ended = False
        self._loaded = 0.0
        self._engine: Engine | None = None
        self._status_at = 0.0
        self._notes: dict[int, tuple[str, ...]] = {}

    def run(self) -> None:
        """Serve until the inbox ends. What the engine raises in a step is a defect and is not caught here."""
        command = self._inbox.get()
        if not isinstance(command, LoadModel):
            return
        engine = self._open(command)
        if engine is None:
            return
        self._engine = engine
        try:
            self._serve(engine)
        finally:
            engine.close()

    def abort(self, command: Command) -> None:
        """Let a step end early that a cancel ends, or that keeps someone waiting; called where commands come in."""
        engine = self._engine
        if engine is None:
            return
        if isinstance(command, CancelRequest):
            engine.abort(command.request)
        elif _is_interactive(command):
            engine.preempt(id(command))

    def _open(self, command: LoadModel) -> Engine | None:
        self._send(LoadingProgress(0.0))
        try:
            engine = self._opener(command, self._advance)
        except WorkbenchError as error:
            self._send(CommandFailed(None, error.message, error.hint, error.details))
            return None
        except Exception as error:  # noqa: BLE001  whatever a foreign file does to a loader, a person gets a message
            self._send(
                CommandFailed(
                    None,
                    f"{command.model.path} could not be loaded: {type(error).__name__}: {error}.",
                    "Choose another model, or convert this one again.",
                    traceback.format_exc(),
                )
            )
            return None
        self._send(ModelLoaded(engine.info))
        return engine

    def _advance(self, fraction: float | None) -> bool:
        """Report the load, and let go of requests that are cancelled before it ends."""
        if fraction is None or not self._loaded <= fraction < self._loaded + PROGRESS_STEP:
            self._loaded = fraction or 0.0
            self._send(LoadingProgress(fraction))
        while not self._ended:
            try:
                self._defer(self._inbox.get_nowait())
            except Empty:
                break
        return not self._ended

    def _defer(self, command: Command | None) -> None:
        if command is None:
            self._ended = True
        elif isinstance(command, CancelRequest) and (found := self._find_waiting(command.request)):
            self._waiting.remove(found)
            self._send(EngineEvents((Chunk(command.request, stop_reason="cancelled"),)))
        else:
            self._waiting.append(command)

    def _find_waiting(self, id: int) -> SubmitGenerate | SubmitLoglikelihood | None:
        asked = (command for command in self._waiting if isinstance(command, (SubmitGenerate, SubmitLoglikelihood)))
        return next((command for command in asked if _request_of(command).id == id), None)

    def _serve(self, engine: Engine) -> None:
        for command in self._waiting:
            self._execute(engine, command)
        while not self._ended:
            self._drain(engine)
            if not self._ended and engine.busy and (events := engine.step()):
                self._send(EngineEvents(tuple(map(self._add_notes, events) if self._notes else events)))
            self._report_status(engine)

    def _report_status(self, engine: Engine) -> None:
        """Say what the engine is doing: now and then, and when it comes to rest."""
        now = time.monotonic()
        if (not engine.busy or now >= self._status_at + STATUS_SECONDS) and (status := engine.status):
            self._status_at = now
            self._send(StatusReport(status))

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
                self._execute(engine, command)

    def _execute(self, engine: Engine, command: Command) -> None:
        engine.resume(id(command))
        match command:
            case SubmitGenerate(request):
                self._begin(request, lambda: self._generate(engine, request))
            case SubmitLoglikelihood(scored):
                self._begin(scored, lambda: self._score(engine, scored))
            case CancelRequest(request_id):
                engine.cancel(request_id)
            case FitPrompt(call_id, asked):
                self._reply(call_id, lambda: PromptFitted(call_id, measure_request(engine, asked)))
            case Tokenize(call_id, request):
                self._reply(call_id, lambda: TokenizeResult(call_id, engine.tokenize(request)))
            case LoadModel():
                raise AssertionError("a second LoadModel: a model is loaded once")

    def _generate(self, engine: Engine, request: GenerateRequest) -> tuple[Event, ...]:
        fitted = fit_request(engine, request)
        engine.submit(fitted.request)
        if fitted.notes:
            self._notes[request.id] = fitted.notes
        return Admitted(request.id, fitted.budget), Progress(request.id, "queued")

    def _score(self, engine: Engine, request: LoglikelihoodRequest) -> tuple[Event, ...]:
        engine.loglikelihood(request)
        return (Progress(request.id, "queued"),)

    def _begin(self, request: GenerateRequest | LoglikelihoodRequest, submit: Callable[[], tuple[Event, ...]]) -> None:
        try:
            events = submit()
        except WorkbenchError as error:
            events = (Failure(request.id, error.message, error.hint, error.details),)
        except Exception as error:  # noqa: BLE001  one bad request must not end the others
            message = f"The engine could not take the request: {type(error).__name__}: {error}."
            events = (Failure(request.id, message, "", traceback.format_exc()),)
        self._send(EngineEvents(events))

    def _add_notes(self, event: Outcome) -> Outcome:
        """The event; the last one of a request with what was left out of its prompt."""
        if isinstance(event, LoglikelihoodResult) or not is_last(event):
            return event
        notes = self._notes.pop(event.request, ())
        if notes and isinstance(event, Chunk):
            return msgspec.structs.replace(event, notes=(*notes, *event.notes))
        return event

    def _reply(self, call_id: int, answer: Callable[[], Reply]) -> None:
        try:
            self._send(answer())
        except WorkbenchError as error:
            self._send(CommandFailed(call_id, error.message, error.hint, error.details))
        except Exception as error:  # noqa: BLE001  as in _submit
            message = f"The engine could not do that: {type(error).__name__}: {error}."
            self._send(CommandFailed(call_id, message, "", traceback.format_exc()))


def _request_of(command: SubmitGenerate | SubmitLoglikelihood) -> GenerateRequest | LoglikelihoodRequest:
    return command.request


def _is_interactive(command: Command) -> bool:
    """Whether someone sits before the screen and waits for what comes of it."""
    match command:
        case SubmitGenerate() | SubmitLoglikelihood():
            return _request_of(command).priority == 0
        case FitPrompt(_, request):
            return request.priority == 0
        case _:
            return isinstance(command, Tokenize)
