"""A handler of events that a test can wait on, and requests made without an event loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, NamedTuple

from workbench.inference.pool import Pool
from workbench.inference.types import (
    Chunk,
    Completion,
    Event,
    Failure,
    GenerateRequest,
    Likelihood,
    LoglikelihoodRequest,
    Progress,
    Sampling,
    Tokenized,
    fold,
    is_last,
)
from workbench.inference.worker.supervisor import EngineSupervisor
from workbench.models.reference import Model
from workbench.prompting.prompt import Message

PATIENCE = 120.0
"""Seconds after which a test gives up; reaching it is a failure, not a delay."""


class Listener:
    """Collects the events of one request."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Event] = SimpleQueue()
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self._queue.put(event)

    def wait(self) -> Completion | Failure:
        """The whole answer, or why there is none."""
        while not is_last(self.next()):
            pass
        last = self.events[-1]
        if isinstance(last, Failure):
            return last
        return fold([event for event in self.events if isinstance(event, Chunk)])

    def wait_for_text(self) -> Chunk:
        while not (isinstance(event := self.next(), Chunk) and event.text):
            assert not is_last(event), event
        return event

    def wait_for_state(self, state: str) -> Progress:
        while not (isinstance(event := self.next(), Progress) and event.state == state):
            assert not is_last(event), event
        return event

    def next(self) -> Event:
        event = self._queue.get(timeout=PATIENCE)
        self.events.append(event)
        return event

    @property
    def silent(self) -> bool:
        """Whether nothing has come that was not taken."""
        return self._queue.empty()


class Handle(NamedTuple):
    """A request under way."""

    engine: EngineSupervisor
    request: int

    def cancel(self) -> None:
        self.engine.cancel(self.request)


class Pending(NamedTuple):
    """Log-likelihoods under way."""

    handle: Handle
    likelihoods: Future[tuple[Likelihood, ...]]


def submit(
    pool: Pool,
    model: Model,
    messages: Sequence[Message],
    sampling: Sampling,
    mode: Any,
    handler: Callable[[Event], object],
    adapters: Sequence[Any] = (),
    **fields: Any,
) -> Handle:
    """Ask a pool's model; the handler gets the events as the worker's reader thread has them."""
    client = pool.client(model)
    request = client.prepare(GenerateRequest(0, tuple(messages), sampling, mode, tuple(adapters), **fields))
    client.engine.submit(request, handler)  # type: ignore[arg-type]
    return Handle(client.engine, request.id)


def loglikelihood(
    pool: Pool, model: Model, messages: Sequence[Message], answers: Sequence[str], mode: Any, **fields: Any
) -> Pending:
    client = pool.client(model)
    request = client.prepare(LoglikelihoodRequest(0, tuple(messages), tuple(answers), mode, **fields))
    return Pending(Handle(client.engine, request.id), client.engine.loglikelihood(request))


def tokenize(pool: Pool, model: Model, messages: Sequence[Message], mode: Any = "chat") -> Future[Tokenized]:
    client = pool.client(model)
    return client.engine.tokenize(client.prepare(GenerateRequest(0, tuple(messages), mode=mode)))
