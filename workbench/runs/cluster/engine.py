"""One model on all nodes of a cluster, as an engine: each request goes to the node with the fewest, and to another one
where its node is lost.

Events of an answer are handed on when it is whole, so that one which is begun again elsewhere is not there twice.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from workbench.errors import EngineError, WorkbenchError
from workbench.inference.model_client import EventHandler, WorkerState
from workbench.inference.types import (
    Chunk,
    EngineStatus,
    Event,
    Failure,
    GenerateRequest,
    Likelihood,
    LoglikelihoodRequest,
    Progress,
    Tokenized,
    is_last,
)
from workbench.inference.worker.protocol import LoadModel
from workbench.inference.worker.supervisor import EngineSupervisor
from workbench.models.reference import Model, ModelInfo
from workbench.prompting.context_fit import Budget
from workbench.runs.cluster.connection import NodeConnection, NodeLostError
from workbench.runs.cluster.messages import WantedFile

MOST_TRIES = 3
"""nodes that a request may lose before it fails: it may be what brings them down"""


@dataclass(eq=False)
class NodeEngine:
    """The engine on one node. outstanding: requests it has not answered. problem: why it cannot be used."""

    node: NodeConnection
    supervisor: EngineSupervisor
    outstanding: int = 0
    ready: bool = False
    problem: WorkbenchError | None = None


@dataclass(eq=False)
class _Job:
    """Something asked of whichever node. start: asks an engine. fail: tells that none can. cancelled: tells that it was
    cancelled before an engine had it. engine: that has it now. tries: nodes that were lost with it. unwanted: it was
    cancelled. events: so far."""

    start: Callable[[NodeEngine], None]
    fail: Callable[[WorkbenchError], None]
    cancelled: Callable[[], None] = lambda: None
    engine: NodeEngine | None = None
    tries: int = 0
    unwanted: bool = False
    events: list[Event] = field(default_factory=list)


class ClusterEngine:
    """See the module; an EngineHandle. concurrency: requests that a node has at most; further ones wait here."""

    def __init__(
        self, command: LoadModel, files: Sequence[WantedFile], concurrency: int, log: Callable[[str], None]
    ) -> None:
        self.model: Model = command.model
        self.resent = 0
        """requests that were put back because their node was lost"""
        self._command = command
        self._files = tuple(files)
        self._concurrency = concurrency
        self._log = log
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._engines: list[NodeEngine] = []
        self._waiting: deque[_Job] = deque()
        self._requests: dict[int, _Job] = {}
        self._loads: list[Future[ModelInfo]] = []
        self._info: ModelInfo | None = None
        self._opening = 0
        self._stopped = False

    # --- what an EngineHandle is asked ---------------------------------------------------------------------------

    @property
    def state(self) -> WorkerState:
        if any(one.ready and not one.node.lost for one in self._engines):
            return "ready"
        return "loading" if self._opening else "failed" if self._engines else "stopped"

    @property
    def pid(self) -> int | None:
        return None

    @property
    def info(self) -> ModelInfo | None:
        return self._info

    @property
    def status(self) -> EngineStatus | None:
        """None: each node has its own."""
        return None

    def next_id(self) -> int:
        return next(self._ids)

    def submit(self, request: GenerateRequest, handler: EventHandler) -> None:
        def fail(error: WorkbenchError) -> None:
            handler(Failure(request.id, error.message, error.hint, error.details))

        job = _Job(
            start=lambda one: one.supervisor.submit(request, lambda event: self._on_event(job, one, event, handler)),
            fail=fail,
            cancelled=lambda: handler(Chunk(request.id, stop_reason="cancelled")),
        )
        self._add(job, request.id)

    def loglikelihood(self, request: LoglikelihoodRequest) -> Future[tuple[Likelihood, ...]]:
        return self._call(lambda one: one.supervisor.loglikelihood(request), request.id)

    def fit(self, request: GenerateRequest) -> Future[Budget]:
        return self._call(lambda one: one.supervisor.fit(request))

    def tokenize(self, request: GenerateRequest) -> Future[Tokenized]:
        return self._call(lambda one: one.supervisor.tokenize(request))

    def cancel(self, request_id: int) -> None:
        with self._lock:
            job = self._requests.get(request_id)
            if job is None:
                return
            job.unwanted = True
            engine = job.engine
            if engine is None:
                self._waiting.remove(job)
                del self._requests[request_id]
        if engine:
            engine.supervisor.cancel(request_id)
        else:
            job.cancelled()

    def load(self) -> Future[ModelInfo]:
        """The future ends when the first node has loaded the model; it fails when all have failed."""
        future: Future[ModelInfo] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            self._loads.append(future)
        self._settle_loads()
        return future

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            engines, self._engines = list(self._engines), []
            jobs, self._waiting = list(self._waiting), deque()
            loads, self._loads = self._loads, []
        for one in engines:
            one.supervisor.stop()
        error = EngineError(f"{self.model.name} was unloaded.", "Run again to load it again.")
        for job in jobs:
            job.fail(error)
        for future in loads:
            future.set_exception(error)

    def join(self, seconds: float) -> None:
        """Its processes end with the nodes' part of the run."""

    # --- nodes ---------------------------------------------------------------------------------------------------

    def add_node(self, node: NodeConnection) -> None:
        """Load the model on a node that has come; from any thread, returns at once."""
        with self._lock:
            if self._stopped:
                return
            self._opening += 1
        threading.Thread(target=self._open, args=(node,), name=f"load on {node.name}", daemon=True).start()

    def remove_node(self, node: NodeConnection) -> None:
        """Forget a node that is lost, or is being let go of."""
        with self._lock:
            self._engines = [one for one in self._engines if one.node is not node]

    @property
    def ready_nodes(self) -> int:
        """Nodes that have loaded the model."""
        return sum(one.ready and not one.node.lost for one in list(self._engines))

    @property
    def problem(self) -> str:
        """Why its requests wait, in words; "" where they do not."""
        with self._lock:
            usable = any(one.ready and not one.node.lost for one in self._engines)
            if usable or self._opening or not self._waiting:
                return ""
            reasons = [one.problem.message for one in self._engines if one.problem]
        return " ".join([f"No node of the cluster can run {self.model.name} now.", *reasons[:1]])

    def _open(self, node: NodeConnection) -> None:
        """On a thread of its own: files, then the engine, then the model."""
        one = NodeEngine(node, EngineSupervisor(self._command, node.open_engine))
        with self._lock:
            self._engines.append(one)
        try:
            self._check_version(node)
            for wanted in self._files:
                node.prepare_file(wanted)
            info = one.supervisor.load().result()
        except NodeLostError as error:
            one.problem = EngineError(f"Node {node.name} was lost while it loaded {self.model.name}: {error}.")
        except WorkbenchError as error:
            one.problem = error
            self._log(f"Node {node.name} is not used for {self.model.name}: {error.message} {error.hint}".strip())
        else:
            self._info = self._info or info
            one.ready = True
        with self._lock:
            self._opening -= 1
        self._settle_loads()
        self._dispatch()

    def _check_version(self, node: NodeConnection) -> None:
        """Raise EngineError where the node's answers would come from another engine than the run says."""
        from workbench.runs.provenance import name_engine

        here, there = name_engine(self.model.format), node.report.engines.get(self.model.format, "")
        if here != there:
            raise EngineError(
                f"Node {node.name} has {there or 'no engine for it'}, and this machine {here}.",
                "Install the same versions on all nodes.",
            )

    def _settle_loads(self) -> None:
        with self._lock:
            if not self._loads or (self._info is None and (self._opening or not self._engines)):
                return
            loads, self._loads = self._loads, []
            problems = [one.problem for one in self._engines if one.problem]
        for future in loads:
            if self._info:
                future.set_result(self._info)
            else:
                future.set_exception(problems[0] if problems else EngineError("No node of the cluster is left."))

    # --- requests ------------------------------------------------------------------------------------------------

    def _add(self, job: _Job, request_id: int = 0) -> None:
        with self._lock:
            if request_id:
                self._requests[request_id] = job
            self._waiting.append(job)
        self._dispatch()

    def _call(self, ask: Callable[[NodeEngine], Future[Any]], request_id: int = 0) -> Future[Any]:
        result: Future[Any] = Future()
        result.set_running_or_notify_cancel()

        def start(one: NodeEngine) -> None:
            ask(one).add_done_callback(lambda future: self._on_result(job, one, future, result, request_id))

        stopped = EngineError("The request was cancelled.", "Run again.")
        job = _Job(start, result.set_exception, lambda: result.set_exception(stopped))
        self._add(job, request_id)
        return result

    def _dispatch(self) -> None:
        """Hand waiting requests to the nodes that have room for them."""
        while True:
            with self._lock:
                usable = [
                    one
                    for one in self._engines
                    if one.ready and not one.node.lost and one.outstanding < self._concurrency
                ]
                if not usable or not self._waiting:
                    return
                engine = min(usable, key=lambda one: one.outstanding)
                job = self._waiting.popleft()
                job.engine = engine
                engine.outstanding += 1
            job.start(engine)

    def _on_event(self, job: _Job, engine: NodeEngine, event: Event, handler: EventHandler) -> None:
        if not is_last(event):
            if not isinstance(event, Progress):
                job.events.append(event)
            return
        if self._put_back(job, engine, isinstance(event, Failure)):
            return
        with self._lock:
            self._requests.pop(event.request, None)
        for earlier in job.events:
            handler(earlier)
        handler(event)
        self._dispatch()

    def _on_result(
        self, job: _Job, engine: NodeEngine, future: Future[Any], result: Future[Any], request_id: int
    ) -> None:
        error = future.exception()
        if self._put_back(job, engine, error is not None):
            return
        with self._lock:
            self._requests.pop(request_id, None)
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(future.result())
        self._dispatch()

    def _put_back(self, job: _Job, engine: NodeEngine, failed: bool) -> bool:
        """Note that a node is done with a request; whether another one has to answer it."""
        with self._lock:
            engine.outstanding -= 1
            again = failed and engine.node.lost and not job.unwanted and not self._stopped
            if not again or job.tries + 1 >= MOST_TRIES:
                return False
            job.engine = None
            job.tries += 1
            job.events.clear()
            self.resent += 1
            self._waiting.appendleft(job)
        self._dispatch()
        return True
