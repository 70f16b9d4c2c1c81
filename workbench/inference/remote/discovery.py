"""Model servers on the usual ports of this machine, with their models and adapters. Only the loopback is asked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping

import msgspec

from workbench.errors import WorkbenchError
from workbench.inference.remote import found_server
from workbench.inference.remote.dialects.protocol import ServerDialect
from workbench.inference.remote.dialects.registry import detect_dialect, list_models
from workbench.inference.remote.found_server import FoundServer
from workbench.inference.remote.http import ServerConnection

SECONDS = 1.5
"""How long a server on this machine may take to list its models."""

_HOST = "127.0.0.1"


def find_servers(ports: Mapping[int, str] | None = None, seconds: float = SECONDS) -> list[FoundServer]:
    """Every server that listens on one of these ports; those that refuse to talk among them, with the reason.

    ports: the usual ones, unless others are named. Takes `seconds` at most. For a thread without an event loop.
    """
    return asyncio.run(_find_all(found_server.PORTS if ports is None else ports, seconds))


async def _find_all(ports: Mapping[int, str], seconds: float) -> list[FoundServer]:
    found = await asyncio.gather(*(_ask(port, usual, seconds) for port, usual in ports.items()))
    return [server for server in found if server]


async def _ask(port: int, usual: str, seconds: float) -> FoundServer | None:
    address = f"http://{_HOST}:{port}"
    if not await _listens(port, seconds):
        return None
    try:
        connection = ServerConnection(address, "")
    except WorkbenchError as error:
        return FoundServer(address, usual, problem=error.message)
    try:
        async with asyncio.timeout(seconds):
            return await _describe(connection, FoundServer(address, usual))
    except WorkbenchError as error:
        return FoundServer(address, usual, problem=error.message)
    except TimeoutError:
        return FoundServer(address, usual, problem=f"it did not answer within {seconds:g} s")
    finally:
        await connection.close()


async def _listens(port: int, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(_HOST, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def _describe(connection: ServerConnection, server: FoundServer) -> FoundServer:
    reply = await connection.get("/v1/models")
    if reply.status != 200 or not isinstance(reply.body, dict) or "data" not in reply.body:
        return msgspec.structs.replace(server, problem=f"it lists no models (status {reply.status})")
    entries = list_models(reply)
    names = tuple(one["id"] for one in entries if not one.get("parent"))
    dialect = await detect_dialect(connection)
    adapters = await _list_adapters(connection, dialect, names)
    return msgspec.structs.replace(server, dialect=dialect.name, models=names, adapters=adapters)


async def _list_adapters(
    connection: ServerConnection, dialect: ServerDialect, models: Iterable[str]
) -> tuple[str, ...]:
    """Of the first model: a server has many models only where adapters are models too."""
    for name in models:
        with contextlib.suppress(WorkbenchError):
            return tuple(one.name for one in (await dialect.describe(connection, name)).adapters)
    return ()
