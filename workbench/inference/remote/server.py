"""ModelServer: one model at one address, found out about once and asked from then on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import httpx2
import msgspec

from workbench.endpoint import Endpoint
from workbench.inference.remote.address_queue import AddressQueue
from workbench.inference.remote.clock import RequestClock
from workbench.inference.remote.dialects.protocol import DialectRequest, ServerDialect
from workbench.inference.remote.dialects.registry import detect_dialect, find_dialect
from workbench.inference.remote.errors import ServerError
from workbench.inference.remote.http import ServerConnection
from workbench.inference.remote.server_model import ServerAdapter, ServerModel
from workbench.inference.types import GenerateRequest

LOAD_SECONDS = 600.0
"""How long a server may take to load its model before its first answer."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0


class ModelServer:
    """See the module. For the tasks of one event loop.

    problem: why it is not asked any more; None while it is.
    """

    def __init__(
        self,
        address: str,
        endpoint: Endpoint,
        context_tokens: int | None,
        clock: RequestClock,
        transport: httpx2.AsyncBaseTransport | None = None,
        chat_template: str | None = None,
    ) -> None:
        """context_tokens, chat_template: what a person says of the model; None: nothing. Raises EngineError."""
        self._chat_template = chat_template
        self.endpoint = endpoint
        self.connection = ServerConnection(address, endpoint.key_env, clock, transport)
        self.queue = AddressQueue(clock, endpoint.concurrency)
        self.problem: ServerError | None = None
        self._context_tokens = context_tokens
        self._clock = clock
        self._lock = asyncio.Lock()
        self._dialect: ServerDialect | None = None
        self._model: ServerModel | None = None
        self._wants_max_completion_tokens = False

    @property
    def address(self) -> str:
        return self.connection.address

    @property
    def model(self) -> ServerModel:
        """Only once it is connected."""
        assert self._model is not None
        return self._model

    @property
    def dialect(self) -> ServerDialect:
        """Only once it is connected."""
        assert self._dialect is not None
        return self._dialect

    @property
    def clock(self) -> RequestClock:
        return self._clock

    @property
    def connected(self) -> bool:
        return self._model is not None

    @property
    def shares_prefixes(self) -> bool:
        """Whether its prompt cache is used: llama-server's would mix what different adapters computed."""
        return not (self.dialect.caches_by_slot and self.model.adapters)

    def note_adapter(self, name: str) -> None:
        """Remember an adapter that was loaded after the server was asked what it has."""
        known = self.model.adapters
        if all(adapter.name != name for adapter in known):
            self._model = msgspec.structs.replace(self.model, adapters=(*known, ServerAdapter(name)))

    async def connect(self) -> ServerModel:
        """What the server says of its model; it is asked once. While it loads its model, that is waited for.

        Raises ServerError where it does not answer or refuses, ModelError where it is not told which model is meant.
        """
        async with self._lock:
            if self._model is None:
                self._dialect, model = await self._find_out()
                own = self._context_tokens
                self._model = msgspec.structs.replace(model, context_tokens=own) if own else model
                if model.slots and not self.endpoint.concurrency:
                    self.queue.set_slots(model.slots, self._dialect.caches_by_slot and not model.adapters)
        return self._model

    async def _find_out(self) -> tuple[ServerDialect, ServerModel]:
        began, pause = self._clock.monotonic(), _FIRST_PAUSE
        while True:
            try:
                named = self.endpoint.dialect
                dialect = await detect_dialect(self.connection) if named == "auto" else find_dialect(named)
                return dialect, await dialect.describe(self.connection, self.endpoint.model)
            except ServerError as error:
                waited = self._clock.monotonic() - began
                if not (error.kind in ("loading", "busy") and error.retried) or waited > LOAD_SECONDS:
                    raise
                await self._clock.sleep(min(max(pause, error.retry_after or 0.0), LOAD_SECONDS))
                pause = min(pause * 2, _LONGEST_PAUSE)

    def ask(self, request: GenerateRequest) -> DialectRequest:
        """The request for this server's dialect."""
        hosted = self.address.startswith("https://api.openai.com")
        left_out = frozenset(self.endpoint.server_defaults)
        return DialectRequest(
            request, self.model, left_out, hosted or self._wants_max_completion_tokens, self._chat_template
        )

    def accept_max_completion_tokens(self, error: ServerError) -> bool:
        """Whether an error says that the limit has another name here, as reasoning models have it; once."""
        if self._wants_max_completion_tokens or error.status != 400 or "max_completion_tokens" not in error.message:
            return False
        self._wants_max_completion_tokens = True
        return True

    async def close(self) -> None:
        with contextlib.suppress(httpx2.HTTPError, OSError, RuntimeError):
            await self.connection.close()


def find_unsupported(servers: Sequence[ModelServer], fields: Sequence[str]) -> tuple[str, ...]:
    """The fields of Sampling that a dialect of these servers cannot send."""
    return tuple(field for field in fields if any(field not in server.dialect.sampling for server in servers))
