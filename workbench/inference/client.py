"""Ask a model without blocking the event loop: generate, loglikelihood, tokenize, count, load."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from workbench.errors import EngineError, ServerMismatchError
from workbench.inference.model_client import EngineHandle
from workbench.inference.types import (
    Chunk,
    Completion,
    EngineStatus,
    Event,
    Failure,
    GenerateRequest,
    Likelihood,
    LoglikelihoodRequest,
    Progress,
    Tokenized,
    fold,
    is_last,
)
from workbench.inference.worker.frames import shorten
from workbench.models.reference import Adapter, Applied, Model, ModelInfo
from workbench.models.vision import check_sees
from workbench.prompting.context_fit import Budget

T = TypeVar("T")
N = TypeVar("N", Model, Adapter)
R = TypeVar("R", GenerateRequest, LoglikelihoodRequest)


class EngineClient:
    """One model of a pool. Its engine (a worker process, or the connection to a server) is shared with every client of
    the same file or endpoint.

    deterministic: what requests are that do not ask for it themselves.
    """

    def __init__(self, engine: EngineHandle, model: Model, deterministic: bool = False) -> None:
        self.model = model
        self.engine = engine
        self._deterministic = deterministic
        self._waker: _Waker | None = None
        self._sees = model.remote is not None  # of a server, its dialect knows more

    @property
    def info(self) -> ModelInfo | None:
        """What is known of the model if it is or was loaded."""
        return self.engine.info

    @property
    def stats(self) -> EngineStatus | None:
        """What the engine last reported; None while it does not run, or where it reports nothing."""
        return self.engine.status

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Event, None]:
        """The events of one answer: its progress, one Admitted, then chunks, the last of them with a stop reason.

        Raises WorkbenchError where the request fails. Closing the generator, or cancelling the task that iterates over
        it, cancels the request: within one step in a worker, by closing its connection on a server.
        """
        request = self.prepare(request)
        yield Progress(request.id, "queued" if self.info else "loading")
        events = _Mailbox(self._find_waker())
        self.engine.submit(request, events.put)
        ended = False
        try:
            while not ended:
                event = await events.get()
                ended = is_last(event)
                if isinstance(event, Failure):
                    kind = ServerMismatchError if event.mismatch else EngineError
                    raise kind(event.message, event.hint, event.details)
                yield event
        finally:
            if not ended:
                self.engine.cancel(request.id)

    async def complete(self, request: GenerateRequest) -> Completion:
        """The whole answer."""
        return fold([event async for event in self.generate(request) if isinstance(event, Chunk)])

    async def loglikelihood(self, request: LoglikelihoodRequest) -> tuple[Likelihood, ...]:
        """How likely the model finds each answer to a conversation. Raises WorkbenchError."""
        request = self.prepare(request)
        future = self.engine.loglikelihood(request)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            self.engine.cancel(request.id)
            raise

    async def tokenize(self, request: GenerateRequest) -> Tokenized:
        """The request as the model would see it."""
        return await asyncio.wrap_future(self.engine.tokenize(self.prepare(request)))

    async def count(self, request: GenerateRequest) -> Budget:
        """The tokens of the request's parts after its overflow policy; over the limit where it does not fit."""
        return await asyncio.wrap_future(self.engine.fit(self.prepare(request)))

    async def load(self) -> ModelInfo:
        """Load the model ahead of its first request."""
        return await asyncio.wrap_future(self.engine.load())

    def _find_waker(self) -> _Waker:
        """The running loop's, shared by all requests of this client."""
        loop = asyncio.get_running_loop()
        if self._waker is None or self._waker.loop is not loop:
            self._waker = _Waker(loop)
        return self._waker

    def prepare(self, request: R) -> R:
        """The request as the worker takes it: with an id, and adapters by their full paths.

        Raises ModelError for pictures where the model cannot see them.
        """
        if not self._sees and _has_pictures(request):
            check_sees(self.model)
            self._sees = True
        return msgspec.structs.replace(
            request,
            id=self.engine.next_id(),
            adapters=adapters_for_worker(request.adapters),
            deterministic=request.deterministic or self._deterministic,
            chat_template_kwargs=self.model.chat_template_kwargs,
        )


def _has_pictures(request: GenerateRequest | LoglikelihoodRequest) -> bool:
    prompt = request.prompt if isinstance(request, GenerateRequest) else None
    return any(message.pictures for message in (*request.messages, *(prompt.messages if prompt else ())))


def gather_now(asked: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What several questions come to, asked side by side and awaited by a thread without an event loop.

    The first that fails cancels the others, and its error is raised.
    """

    async def gather() -> list[T]:
        tasks = [asyncio.ensure_future(one) for one in asked]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(gather())


def for_worker(named: N) -> N:
    """A model or adapter as its worker is told of it, which stands in another folder and cannot take half characters in
    a name; a server's is left as it is."""
    if named.format == "remote":
        return named
    placed = msgspec.structs.replace(named, name=shorten(named.name), path=named.path.absolute())
    if isinstance(placed, Model) and placed.mmproj:
        return msgspec.structs.replace(placed, mmproj=placed.mmproj.absolute())
    return placed


def adapters_for_worker(adapters: Sequence[Applied]) -> tuple[Applied, ...]:
    """Adapters as `for_worker` has them."""
    return tuple(msgspec.structs.replace(one, adapter=for_worker(one.adapter)) for one in adapters)


class _Waker:
    """Wakes a loop once for all the tasks that something came for since it last looked: each wake-up from another
    thread is a write to a socket."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._arrived: deque[asyncio.Event] = deque()
        self._woken = False

    def wake(self, arrived: asyncio.Event) -> None:
        """Set an event of the loop, from any thread."""
        self._arrived.append(arrived)
        if not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self.loop.call_soon_threadsafe(self._set_all)

    def _set_all(self) -> None:
        self._woken = False  # before the events are taken, so that one that comes now wakes the loop again
        while self._arrived:
            self._arrived.popleft().set()


class _Mailbox:
    """Events on their way from the worker's reader thread to a task, which is woken once for all that came since it
    last looked, rather than for each token."""

    def __init__(self, waker: _Waker) -> None:
        self._waker = waker
        self._events: deque[Event] = deque()
        self._woken = False
        self._arrived = asyncio.Event()

    def put(self, event: Event) -> None:
        """Called from any thread."""
        self._events.append(event)
        if not self._woken:
            self._woken = True
            self._waker.wake(self._arrived)

    async def get(self) -> Event:
        while not self._events:
            self._arrived.clear()
            self._woken = False
            if not self._events:  # one may have come before `_woken` was cleared, and then wakes nobody
                await self._arrived.wait()
        return self._events.popleft()
