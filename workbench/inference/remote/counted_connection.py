"""CountedConnection: a connection that counts the answers it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.inference.remote.connection import Connection, RemoteAnswer
from workbench.inference.remote.http import Reply
from workbench.inference.remote.server_model import ServerModel
from workbench.inference.types import GenerateRequest
from workbench.models.reference import Applied


class CountedConnection:
    """See the module. requests: answers so far."""

    def __init__(self, inner: Connection) -> None:
        self._inner = inner
        self.requests = 0
        self.address, self.dialect, self.model_name = inner.address, inner.dialect, inner.model_name
        self.unsupported = inner.unsupported

    async def describe(self) -> ServerModel:
        return await self._inner.describe()

    def adapter_fields(self, applied: Sequence[Applied]) -> dict[str, Any]:
        return self._inner.adapter_fields(applied)

    def template_kwargs(self, request: GenerateRequest) -> dict[str, Any]:
        return self._inner.template_kwargs(request)

    async def get(self, path: str) -> Reply:
        return await self._inner.get(path)

    async def post(self, path: str, body: Mapping[str, Any]) -> Reply:
        self.requests += path.endswith(("/completion", "/completions"))
        return await self._inner.post(path, body)

    async def answer(self, request: GenerateRequest) -> RemoteAnswer:
        self.requests += 1
        return await self._inner.answer(request)
