"""ProbeConnection: a connected server as a probe asks it, by the same requests that answers come from."""

from __future__ import annotations

from contextlib import aclosing

from msgspec.structs import replace

from workbench.inference.remote.clock import RequestClock
from workbench.inference.remote.connection import RemoteAnswer
from workbench.inference.remote.fleet import Fleet
from workbench.inference.remote.generation import Generator
from workbench.inference.remote.server import ModelServer
from workbench.inference.remote.server_api import ModelServerApi
from workbench.inference.types import Chunk, GenerateRequest, fold

_BATCH = 1


class ProbeConnection(ModelServerApi):
    """See the module; a Connection. Only once the server is connected."""

    def __init__(self, server: ModelServer, clock: RequestClock) -> None:
        super().__init__(server)
        info = server.model.describe(None, tuple(self.unsupported))
        self._generator = Generator(Fleet([server]), info, clock)

    async def answer(self, request: GenerateRequest) -> RemoteAnswer:
        batch = replace(request, priority=_BATCH)
        async with aclosing(self._generator.generate(batch)) as events:
            chunks = [event async for event in events if isinstance(event, Chunk)]
        done = fold(chunks)
        tokens = tuple(token for chunk in chunks for token in chunk.tokens)
        return RemoteAnswer(done, tokens, done.server.model if done.server else "")
