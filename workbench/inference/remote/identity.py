"""What a server's model is, as far as the server tells: asked once, for whoever has no event loop."""

from __future__ import annotations

import asyncio
import hashlib

import msgspec

from workbench.inference.remote.clock import CLOCK
from workbench.inference.remote.event_loop import BackgroundLoop
from workbench.inference.remote.fleet import Fleet
from workbench.inference.remote.server import ModelServer
from workbench.models.reference import Model


def identify(model: Model) -> str:
    """A digest of the model behind an endpoint: another one behind the same address has another. Raises WorkbenchError.

    Its addresses are part of it: of many servers nothing else is known.
    """
    loop = BackgroundLoop("what a server is")
    try:
        found = loop.start(_ask(model)).result()
    finally:
        loop.close(1.0)
    parts = (model.remote, found)
    return hashlib.blake2b(msgspec.json.encode(parts), digest_size=16).hexdigest()


async def _ask(model: Model) -> str:
    assert model.remote is not None
    servers = [ModelServer(url, model.remote, model.context_tokens, CLOCK) for url in model.remote.urls]
    fleet = Fleet(servers)
    try:
        await fleet.connect()
        return fleet.model.identity
    finally:
        await asyncio.gather(*(server.close() for server in servers))
