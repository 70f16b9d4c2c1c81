"""RemoteEngine: one model on one or several servers, as every engine is asked; see EngineHandle."""

from __future__ import annotations

import asyncio
import functools
import itertools
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Future, wait
from typing import Any, TypeVar

import httpx2
import msgspec

from workbench.errors import ServerMismatchError, WorkbenchError
from workbench.inference.model_client import EventHandler, WorkerState
from workbench.inference.remote.adapter_loader import AdapterLoader
from workbench.inference.remote.card import CapabilityCard
from workbench.inference.remote.clock import CLOCK, RequestClock
from workbench.inference.remote.event_loop import BackgroundLoop
from workbench.inference.remote.fleet import Fleet
from workbench.inference.remote.fleet_prover import FleetProver
from workbench.inference.remote.generation import Generator
from workbench.inference.remote.prover import Prover
from workbench.inference.remote.server import ModelServer, find_unsupported
from workbench.inference.sampling_fields import DEFAULTS
from workbench.inference.types import (
    Chunk,
    EngineStatus,
    Failure,
    GenerateRequest,
    Likelihood,
    LoglikelihoodRequest,
    Sampling,
    Tokenized,
)
from workbench.models.reference import Applied, Model, ModelInfo
from workbench.prompting.context_fit import Budget

T = TypeVar("T")
R = TypeVar("R", GenerateRequest, LoglikelihoodRequest)


class RemoteEngine:
    """See the module. Everything runs on the loop that it shares with the other remote models of a pool."""

    def __init__(
        self,
        model: Model,
        loop: BackgroundLoop,
        clock: RequestClock = CLOCK,
        transport: Callable[[str], httpx2.AsyncBaseTransport] | None = None,
        probe: bool = True,
        count: Callable[[str, GenerateRequest], Awaitable[int]] | None = None,
    ) -> None:
        """transport: of an address, instead of the network. probe: make the server's card on connecting, and hold the
        server to it. count: the tokens of a prompt by the tokenizer that the endpoint names."""
        assert model.remote is not None
        self.model = model
        self._loop, self._clock, self._transport = loop, clock, transport
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._tasks: dict[int, Future[Any]] = {}
        self._state: WorkerState = "stopped"
        self._info: ModelInfo | None = None
        self._fleet: Fleet | None = None
        self._generator: Generator | None = None
        self._connecting: asyncio.Lock | None = None
        self._probe = probe
        self._count = functools.partial(count, model.remote.tokenizer) if count else None
        self._prover: Prover | FleetProver | None = None
        self._closing: Future[None] | None = None
        self._loader: AdapterLoader | None = None

    @property
    def state(self) -> WorkerState:
        return self._state

    @property
    def pid(self) -> int | None:
        return None

    @property
    def info(self) -> ModelInfo | None:
        return self._info

    @property
    def status(self) -> EngineStatus | None:
        """What runs and waits here; a server's own counts are not known."""
        generator = self._generator
        return generator.status if generator else None

    @property
    def card(self) -> CapabilityCard | None:
        generator = self._generator
        return generator.proof.card if generator and generator.proof else None

    def next_id(self) -> int:
        return next(self._ids)

    def submit(self, request: GenerateRequest, handler: EventHandler) -> None:
        self._start(request.id, self._answer(request, handler))

    def loglikelihood(self, request: LoglikelihoodRequest) -> Future[tuple[Likelihood, ...]]:
        return self._start(request.id, self._loglikelihood(request))

    def cancel(self, request_id: int) -> None:
        with self._lock:
            task = self._tasks.get(request_id)
        if task:
            task.cancel()

    def fit(self, request: GenerateRequest) -> Future[Budget]:
        return self._start(request.id, self._ask(lambda generator: generator.fit(request)))

    def tokenize(self, request: GenerateRequest) -> Future[Tokenized]:
        return self._start(request.id, self._ask(lambda generator: generator.tokenize(request)))

    def load(self) -> Future[ModelInfo]:
        return self._start(self.next_id(), self._load())

    def prove(self, adapters: Sequence[Applied] = (), renew: bool = False) -> Future[CapabilityCard]:
        """The card of what the server does, with a proof of each of these adapters. renew: connect and probe again.

        Fails with EngineError where the server does not answer.
        """
        return self._start(self.next_id(), self._prove(adapters, renew))

    def stop(self) -> None:
        """Close the connections. What is under way fails; the next request connects anew."""
        with self._lock:
            tasks = list(self._tasks.values())
            fleet, self._fleet, self._generator = self._fleet, None, None
            loader, prover, self._loader, self._prover = self._loader, self._prover, None, None
            self._state = "stopped"
        for task in tasks:
            task.cancel()
        if fleet:
            self._closing = self._loop.start(_close(fleet, loader, prover))

    def join(self, seconds: float) -> None:
        """Wait until the connections are closed; servers live on."""
        if self._closing:
            wait([self._closing], seconds)

    # --- on the loop ---------------------------------------------------------------------------------------------

    def _start(self, number: int, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        with self._lock:
            task = self._loop.start(coroutine)
            self._tasks[number] = task
        task.add_done_callback(lambda _: self._tasks.pop(number, None))
        return task

    async def _ask(self, question: Callable[[Generator], Coroutine[Any, Any, T]]) -> T:
        return await question(await self._connect())

    async def _loglikelihood(self, request: LoglikelihoodRequest) -> tuple[Likelihood, ...]:
        generator = await self._connect()
        await self._wait_for_card()
        return await generator.loglikelihood(await self._with_adapters(request))

    async def _with_adapters(self, request: R) -> R:
        """The request with the servers' names for its adapters."""
        if not request.adapters or self._loader is None:
            return request
        return msgspec.structs.replace(request, adapters=await self._loader.load(request.adapters))

    async def _load(self) -> ModelInfo:
        await self._connect()
        await self._wait_for_card()
        assert self._info is not None
        return self._info

    async def _prove(self, adapters: Sequence[Applied], renew: bool) -> CapabilityCard:
        if renew and self._generator:
            await self._reconnect()
        await self._connect()
        assert self._prover is not None
        assert self._loader is not None
        card = await self._prover.prove(await self._loader.load(tuple(adapters)))
        self._adopt(card)
        return card

    async def _wait_for_card(self) -> None:
        if self._probe and self._prover:
            self._adopt(await self._prover.prove())

    def _adopt(self, card: CapabilityCard) -> None:
        """Hold the server to its card from now on."""
        generator, info = self._generator, self._info
        if generator and info and self._prover and (generator.proof is None or generator.proof.card is not card):
            generator.proof = self._prover.hold(card)
            fields = (*info.unsupported_sampling, *(name for name in card.ignored if hasattr(DEFAULTS, name)))
            self._info = msgspec.structs.replace(info, unsupported_sampling=tuple(dict.fromkeys(fields)))

    async def _reconnect(self) -> None:
        """Ask every address anew what it serves; what is under way ends on the old connections."""
        fleet, self._fleet, self._generator, self._prover = self._fleet, None, None, None
        await self._connect()
        if fleet and not any(server.queue.outstanding for server in fleet.servers):
            await _close(fleet)

    async def _connect(self) -> Generator:
        """What answers, once every address is connected; a failed attempt is made again by the next request."""
        if self._connecting is None:
            self._connecting = asyncio.Lock()
        async with self._connecting:
            if self._generator is None:
                self._state = "loading"
                fleet = self._fleet or self._make_fleet()
                try:
                    await fleet.connect()
                except BaseException:
                    self._state = "failed"
                    await _close(fleet)
                    raise
                fields = Sampling.__struct_fields__
                unsupported = find_unsupported(fleet.alive, fields)
                self._info = fleet.model.describe(self.model.context_tokens, unsupported)
                self._fleet, self._generator = fleet, Generator(fleet, self._info, self._clock)
                if len(fleet.servers) > 1:
                    self._prover = FleetProver(fleet, self._clock, self._count)
                else:
                    self._prover = Prover(fleet.alive[0], self._clock, self._count)
                self._loader = AdapterLoader(fleet)
                self._state = "ready"
            return self._generator

    def _make_fleet(self) -> Fleet:
        endpoint, context = self.model.remote, self.model.context_tokens
        assert endpoint is not None
        make = self._transport
        return Fleet(
            [
                ModelServer(url, endpoint, context, self._clock, make(url) if make else None, self.model.chat_template)
                for url in endpoint.urls
            ]
        )

    async def _answer(self, request: GenerateRequest, handler: EventHandler) -> None:
        """The handler gets every event, the last of them exactly once."""
        try:
            generator = await self._connect()
            if request.priority:
                await self._wait_for_card()
            async for event in generator.generate(await self._with_adapters(request)):
                handler(event)
            if self._probe and self._prover:
                self._prover.begin(self._adopt)
        except asyncio.CancelledError:
            handler(Chunk(request.id, stop_reason="cancelled"))
            raise
        except WorkbenchError as error:
            mismatch = isinstance(error, ServerMismatchError)
            handler(Failure(request.id, error.message, error.hint, error.details, mismatch))
        except Exception as error:  # noqa: BLE001  a defect of this side must not leave anyone waiting
            message = f"The request failed by a defect of the workbench: {type(error).__name__}: {error}."
            handler(Failure(request.id, message, "Please report it."))


async def _close(fleet: Fleet, loader: AdapterLoader | None = None, prover: Prover | FleetProver | None = None) -> None:
    if prover:
        prover.cancel()
    if loader:
        await loader.unload_all()
    await asyncio.gather(*(server.close() for server in fleet.servers))
