"""One model's engine seen from this side: started when it is first asked, restarted when something ended it while it
loaded, its replies handed to whoever waits for them."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from workbench.errors import EngineError, ModelError, WorkbenchError
from workbench.inference.model_client import EventHandler, WorkerState
from workbench.inference.types import (
    EngineStatus,
    Event,
    Failure,
    GenerateRequest,
    Likelihood,
    LoglikelihoodRequest,
    LoglikelihoodResult,
    Outcome,
    Progress,
    Tokenized,
    is_last,
)
from workbench.inference.worker.engine_run import MAX_LOADS, EngineRun, Transport
from workbench.inference.worker.process import WorkerExit
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
from workbench.inference.worker.rpc_failure import explain_rpc_failure
from workbench.models.reference import Model, ModelInfo
from workbench.prompting.context_fit import Budget

_log = logging.getLogger(__name__)


class EngineSupervisor:
    """One model's engine, wherever it lives.

    Every method returns at once and may be called from any thread.
    """

    def __init__(
        self, command: LoadModel, connect: Callable[[], Transport], on_idle: Callable[[], None] = lambda: None
    ) -> None:
        """on_idle: called, on any thread, whenever nobody waits for anything of it any more."""
        self._on_idle = on_idle
        self._used_at = time.monotonic()
        self.model: Model = command.model
        self._command = command
        self._connect = connect
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._run: EngineRun | None = None
        self._stopped: EngineRun | None = None
        self._info: ModelInfo | None = None
        self._failed = False

    @property
    def state(self) -> WorkerState:
        run = self._run
        if run is None:
            return "failed" if self._failed else "stopped"
        return "ready" if run.info else "loading"

    @property
    def pid(self) -> int | None:
        """The engine's process; None when it does not run, or lives in this one."""
        run = self._run
        return run.transport.pid if run else None

    @property
    def info(self) -> ModelInfo | None:
        """What the engine said of its model when it was last loaded."""
        return self._info

    @property
    def status(self) -> EngineStatus | None:
        """What the engine last reported; None while it does not run, or where it reports nothing."""
        run = self._run
        return run.status if run else None

    @property
    def busy(self) -> bool:
        """Whether anybody waits for anything of it."""
        run = self._run
        return run is not None and run.busy

    @property
    def used_at(self) -> float:
        """When it was last asked for something, or answered, by the monotonic clock."""
        return self._used_at

    def next_id(self) -> int:
        """An id for a request that no other one has."""
        return next(self._ids)

    def submit(self, request: GenerateRequest, handler: EventHandler) -> None:
        """Answer a request; the handler gets its events, the last of them exactly once."""
        with self._lock:
            run = self._ensure_running()
            run.handlers[request.id] = handler
            rejected = run.send(SubmitGenerate(request))
        self._dispatch(run, rejected)

    def loglikelihood(self, request: LoglikelihoodRequest) -> Future[tuple[Likelihood, ...]]:
        """The likelihood of each answer; the future fails with a WorkbenchError."""
        future = _running_future()
        with self._lock:
            run = self._ensure_running()
            run.likelihoods_due[request.id] = future
            rejected = run.send(SubmitLoglikelihood(request))
        self._dispatch(run, rejected)
        return future

    def cancel(self, request_id: int) -> None:
        """End a request, whose last chunk says `cancelled`; one for log-likelihoods fails. Ended ones are ignored."""
        with self._lock:
            run = self._run
            if run and (request_id in run.handlers or request_id in run.likelihoods_due):
                run.send(CancelRequest(request_id))

    def fit(self, request: GenerateRequest) -> Future[Budget]:
        """How the request's prompt would divide over the context."""
        return self._submit_call(lambda call_id: FitPrompt(call_id, request))

    def tokenize(self, request: GenerateRequest) -> Future[Tokenized]:
        """The request as the model would see it."""
        return self._submit_call(lambda call_id: Tokenize(call_id, request))

    def load(self) -> Future[ModelInfo]:
        """Start the engine, if it is not running; the future ends when the model is loaded."""
        future = _running_future()
        with self._lock:
            run = self._ensure_running()
            if run.info is None:
                run.loads.append(future)
                return future
        future.set_result(run.info)
        return future

    def stop(self) -> None:
        """End the engine, which frees its memory. What it was doing fails; the next request starts it."""
        with self._lock:
            run, self._run, self._failed = self._run, None, False
            self._stopped = run or self._stopped
        if run:
            run.transport.stop()

    def stop_idle(self) -> bool:
        """End the engine unless it is busy; whether it was ended. The next request starts it."""
        with self._lock:
            run = self._run
            if run is None or run.busy:
                return False
            self._run, self._stopped, self._failed = None, run, False
        run.transport.stop()
        return True

    def join(self, seconds: float) -> None:
        """Wait for the end that `stop` asked for, at most so long."""
        if self._stopped:
            self._stopped.transport.join(seconds)

    def _submit_call(self, command: Callable[[int], Command]) -> Future[Any]:
        future = _running_future()
        with self._lock:
            run, call_id = self._ensure_running(), next(self._ids)
            run.calls[call_id] = future
            rejected = run.send(command(call_id))
        self._dispatch(run, rejected)
        return future

    def _ensure_running(self) -> EngineRun:
        """The running incarnation, or a new one. Call it under the lock."""
        if self._run is None:
            self._failed = False
            self._start(EngineRun(self._connect()))
        self._used_at = time.monotonic()
        assert self._run is not None
        return self._run

    def _start(self, run: EngineRun) -> None:
        """Start an incarnation. Call it under the lock."""
        self._run = run
        run.transport.start(lambda reply: self._dispatch(run, reply), lambda ended: self._end(run, ended))
        rejected = run.send(self._command)
        if isinstance(rejected, CommandFailed):
            run.refusal = rejected
            run.transport.stop()  # it would wait for its first command for ever

    def _restart(self, killed: EngineRun, ended: WorkerExit) -> bool:
        """Whether another incarnation takes over what a killed one was asked: one that was still loading, and that
        something else has ended. Called under the lock."""
        loading = killed.info is None and killed.refusal is None
        if self._run is not killed or not (loading and ended.external and killed.loads_left):
            return False
        _log.warning("The engine of %s %s while it loaded; it is started again.", self.model.name, ended.reason)
        run = EngineRun(self._connect(), loads_left=killed.loads_left - 1)
        run.handlers, run.calls, run.likelihoods_due, run.loads = (
            killed.handlers,
            killed.calls,
            killed.likelihoods_due,
            killed.loads,
        )
        self._start(run)
        for command in killed.sent:
            if run.waits_for(command):
                run.send(command)
        return True

    def _dispatch(self, run: EngineRun, reply: Reply | None) -> None:
        """Pass a reply on; called on the transport's thread, and on the caller's for what could not be sent."""
        match reply:
            case EngineEvents(events):
                for event in events:
                    self._emit(run, event)
            case LoadingProgress(fraction, note):
                with self._lock:
                    requests = tuple(run.handlers)
                for request in requests:
                    self._emit(run, Progress(request, "loading", fraction, note))
            case StatusReport(status):
                run.status = status
            case ModelLoaded(info):
                self._open(run, info)
            case PromptFitted(call_id, value) | TokenizeResult(call_id, value):
                with self._lock:
                    future = run.calls.pop(call_id)
                future.set_result(value)
            case CommandFailed(None):
                run.refusal = reply
            case CommandFailed(int(call_id), message, hint, details):
                with self._lock:
                    future = run.calls.pop(call_id)
                future.set_exception(EngineError(message, hint, details))
        if not run.busy:
            self._used_at = time.monotonic()
            self._on_idle()

    def _open(self, run: EngineRun, info: ModelInfo) -> None:
        with self._lock:
            run.info = self._info = info
            loads, run.loads, run.sent = run.loads, [], []
        for future in loads:
            future.set_result(info)

    def _emit(self, run: EngineRun, event: Outcome) -> None:
        """Hand an event to whoever waits for it: a handler, which is forgotten with its last one, or a future."""
        if event.request in run.likelihoods_due:
            self._resolve(run, event)
            return
        if isinstance(event, LoglikelihoodResult):
            return
        with self._lock:
            handler = run.handlers.pop(event.request, None) if is_last(event) else run.handlers.get(event.request)
        if handler:
            _call(handler, event)

    def _resolve(self, run: EngineRun, event: Outcome) -> None:
        if isinstance(event, Progress):
            return
        with self._lock:
            future = run.likelihoods_due.pop(event.request)
        match event:
            case LoglikelihoodResult(_, likelihoods):
                future.set_result(likelihoods)
            case Failure(_, message, hint, details):
                future.set_exception(EngineError(message, hint, details))
            case _:
                future.set_exception(EngineError("The request was cancelled.", "Run again."))

    def _end(self, run: EngineRun, ended: WorkerExit) -> None:
        """The engine is gone: whatever waited for it is told why. Called on the transport's thread, last."""
        error = self._explain(run, ended)
        with self._lock:
            if self._restart(run, ended):
                return
            if self._run is run:
                self._run, self._failed = None, True
            handlers, run.handlers = run.handlers, {}
            futures: list[Future[Any]] = [*run.calls.values(), *run.likelihoods_due.values(), *run.loads]
            run.calls, run.likelihoods_due, run.loads = {}, {}, []
        for request, handler in handlers.items():
            _call(handler, Failure(request, error.message, error.hint, error.details))
        for future in futures:
            future.set_exception(error)

    def _explain(self, run: EngineRun, ended: WorkerExit) -> WorkbenchError:
        if run.refusal:
            return ModelError(run.refusal.message, run.refusal.hint, run.refusal.details or ended.last_words)
        if self._run is not run:
            return EngineError(f"{self.model.name} was unloaded while it was at work.", "Run again to load it again.")
        if lost := explain_rpc_failure(self.model, ended.last_words, run.info is not None):
            return lost
        task = "while it worked" if run.info else f"while it loaded {self.model.path}"
        hint = "Run again: the engine is restarted."
        if not run.info and not run.loads_left:
            task += f", {MAX_LOADS} times in a row"
        if "SIGKILL" in ended.reason:
            hint += " If this repeats, memory may be short: close other models, or choose a smaller context."
        return EngineError(f"The engine of {self.model.name} {ended.reason} {task}.", hint, ended.last_words)


def _call(handler: EventHandler, event: Event) -> None:
    try:
        handler(event)
    except Exception:  # noqa: BLE001  a handler that fails must not silence the other handlers
        _log.exception("a handler failed on %r", event)


def _running_future() -> Future[Any]:
    """A future that its holder cannot cancel, so that setting its result never fails."""
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()
    return future
