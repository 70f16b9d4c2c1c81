"""ModelClient: what everything that asks a model goes by, wherever the model runs; EngineHandle: what a client needs of
the engine behind it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Future
from typing import Literal, Protocol, runtime_checkable

from workbench.inference.remote.card import CapabilityCard
from workbench.inference.types import (
    Completion,
    EngineStatus,
    Event,
    GenerateRequest,
    Likelihood,
    LoglikelihoodRequest,
    Tokenized,
)
from workbench.models.reference import Applied, Model, ModelInfo
from workbench.prompting.context_fit import Budget

EventHandler = Callable[[Event], None]

WorkerState = Literal["stopped", "loading", "ready", "failed"]


class ModelClient(Protocol):
    """Asks one model without blocking the event loop. Every method raises WorkbenchError where it fails."""

    @property
    def model(self) -> Model: ...

    @property
    def info(self) -> ModelInfo | None:
        """What is known of the model once it is or was loaded; None before."""
        ...

    @property
    def stats(self) -> EngineStatus | None:
        """What its engine last reported; None while it does not run, or where it reports nothing."""
        ...

    def generate(self, request: GenerateRequest) -> AsyncGenerator[Event, None]:
        """The events of one answer: its progress, one Admitted, then chunks, the last of them with a stop reason.

        Closing the generator, or cancelling the task that iterates over it, cancels the request.
        """
        ...

    async def complete(self, request: GenerateRequest) -> Completion:
        """The whole answer."""
        ...

    async def loglikelihood(self, request: LoglikelihoodRequest) -> tuple[Likelihood, ...]:
        """How likely the model finds each answer to a conversation."""
        ...

    async def tokenize(self, request: GenerateRequest) -> Tokenized:
        """The request as the model would see it."""
        ...

    async def count(self, request: GenerateRequest) -> Budget:
        """The tokens of the request's parts after its overflow policy; over the limit where it does not fit."""
        ...

    async def load(self) -> ModelInfo:
        """Load the model ahead of its first request, or connect to its server."""
        ...


@runtime_checkable
class ProvingEngine(Protocol):
    """An engine on a server, which is probed before it is believed."""

    def prove(self, adapters: Sequence[Applied] = (), renew: bool = False) -> Future[CapabilityCard]:
        """What the server does, with a proof of each of these adapters; made once, unless it is to be renewed."""
        ...

    @property
    def card(self) -> CapabilityCard | None:
        """The card as it is known now; None before the server was probed."""
        ...


class EngineHandle(Protocol):
    """One model's engine, wherever it lives: a worker process, a thread, a server, another machine.

    Every method returns at once and may be called from any thread.
    """

    @property
    def model(self) -> Model: ...

    @property
    def state(self) -> WorkerState: ...

    @property
    def pid(self) -> int | None:
        """Its process; None while it does not run, or where it is none of this machine's."""
        ...

    @property
    def info(self) -> ModelInfo | None: ...

    @property
    def status(self) -> EngineStatus | None: ...

    def next_id(self) -> int:
        """An id for a request that no other one has."""
        ...

    def submit(self, request: GenerateRequest, handler: EventHandler) -> None:
        """Answer a request; the handler gets its events, the last of them exactly once, from any thread."""
        ...

    def loglikelihood(self, request: LoglikelihoodRequest) -> Future[tuple[Likelihood, ...]]:
        """The likelihood of each answer; the future fails with a WorkbenchError."""
        ...

    def cancel(self, request_id: int) -> None:
        """End a request, whose last chunk says `cancelled`; one for log-likelihoods fails. Ended ones are ignored."""
        ...

    def fit(self, request: GenerateRequest) -> Future[Budget]:
        """How the request's prompt would divide over the context."""
        ...

    def tokenize(self, request: GenerateRequest) -> Future[Tokenized]:
        """The request as the model would see it."""
        ...

    def load(self) -> Future[ModelInfo]:
        """Start it, if it is not running; the future ends when the model is loaded."""
        ...

    def stop(self) -> None:
        """End it. What it was doing fails; the next request starts it."""
        ...

    def join(self, seconds: float) -> None:
        """Wait for the end that `stop` asked for, at most so long."""
        ...
