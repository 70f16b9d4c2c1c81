"""ModelServerApi: what a connected server can be asked beside answers, in its dialect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from workbench.inference.remote.dialects.openai import template_kwargs
from workbench.inference.remote.errors import ServerError
from workbench.inference.remote.http import Reply
from workbench.inference.remote.server import ModelServer, find_unsupported
from workbench.inference.remote.server_model import ServerModel
from workbench.inference.types import GenerateRequest, Sampling
from workbench.models.reference import Applied

_RETRIES = 4
_FIRST_PAUSE = 0.25


class ModelServerApi:
    """See the module; a ServerApi. Only once the server is connected."""

    def __init__(self, server: ModelServer) -> None:
        self._server = server

    @property
    def address(self) -> str:
        return self._server.address

    @property
    def dialect(self) -> str:
        return self._server.dialect.name

    @property
    def model_name(self) -> str:
        return self._server.model.name

    @property
    def unsupported(self) -> frozenset[str]:
        return frozenset(find_unsupported([self._server], Sampling.__struct_fields__))

    async def describe(self) -> ServerModel:
        return await self._server.dialect.describe(self._server.connection, self.model_name)

    def adapter_fields(self, applied: Sequence[Applied]) -> dict[str, Any]:
        request = GenerateRequest(0, (), adapters=tuple(applied))
        return self._server.dialect.list_adapters(self._server.ask(request))

    def template_kwargs(self, request: GenerateRequest) -> dict[str, Any]:
        return template_kwargs(self._server.ask(request))

    async def get(self, path: str) -> Reply:
        return await self._retry(lambda: self._server.connection.get(path))

    async def post(self, path: str, body: Mapping[str, Any]) -> Reply:
        return await self._retry(lambda: self._server.connection.post(path, body))

    async def _retry(self, ask: Callable[[], Awaitable[Reply]]) -> Reply:
        """Ask again where that may help: a server may close a connection just when it is used again."""
        clock, pause = self._server.clock, _FIRST_PAUSE
        for _ in range(_RETRIES):
            try:
                reply = await ask()
                error = self._server.connection.explain(reply) if reply.status != 200 else None
            except ServerError as failure:
                reply, error = None, failure
            if reply and (error is None or not error.retried):
                return reply
            if error and not error.retried:
                raise error
            await clock.sleep(max(pause * clock.jitter(), (error and error.retry_after) or 0.0))
            pause *= 2
        return await ask()
