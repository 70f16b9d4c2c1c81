"""AdapterLoader: adapters of this machine, loaded into the vLLM or SGLang servers that run on it, and out again."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from msgspec.structs import replace

from workbench.endpoint import is_loopback
from workbench.errors import ModelError, WorkbenchError
from workbench.inference.remote.adapters import load_adapter, unload_adapter
from workbench.inference.remote.fleet import Fleet
from workbench.inference.remote.server import ModelServer
from workbench.inference.remote.server_api import ModelServerApi
from workbench.models.reference import Adapter, Applied

LOADING_DIALECTS = ("vllm", "sglang")
"""Servers that can load an adapter while they run."""


class AdapterLoader:
    """See the module. For the tasks of one event loop."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._lock = asyncio.Lock()
        self._names: dict[Path, str] = {}

    async def load(self, applied: tuple[Applied, ...]) -> tuple[Applied, ...]:
        """The adapters by the names that the servers have for them; those of this machine are loaded first.

        Raises ModelError where a server is on another machine, or does not load it.
        """
        if not any(_is_local(one.adapter) for one in applied) or not self._loads:
            return applied
        async with self._lock:
            return tuple([await self._load_one(one) for one in applied])

    async def unload_all(self) -> None:
        """Take out what was loaded; a server that is gone already needs nothing."""
        names, self._names = tuple(self._names.values()), {}
        for server in self._fleet.alive if names else ():
            for name in names:
                try:
                    await unload_adapter(ModelServerApi(server), name)
                except WorkbenchError:
                    break

    @property
    def _loads(self) -> bool:
        return all(server.dialect.name in LOADING_DIALECTS for server in self._fleet.alive)

    async def _load_one(self, applied: Applied) -> Applied:
        adapter = applied.adapter
        if not _is_local(adapter):
            return applied
        if adapter.path not in self._names:
            digest = await asyncio.to_thread(_digest_folder, adapter.path)
            for server in self._fleet.alive:
                self._names[adapter.path] = await _load_into(server, adapter, digest)
        return replace(applied, adapter=Adapter(self._names[adapter.path], format="remote"))


async def _load_into(server: ModelServer, adapter: Adapter, digest: str) -> str:
    if not is_loopback(server.address):
        raise ModelError(
            f"The adapter {adapter.name} is on this machine, and {server.address} is another one.",
            "Load it there (--lora-modules), and name it as the server does.",
        )
    name = await load_adapter(ModelServerApi(server), adapter, digest)
    server.note_adapter(name)
    return name


def _is_local(adapter: Adapter) -> bool:
    return adapter.format == "peft"


def _digest_folder(folder: Path) -> str:
    """Of the contents of an adapter's files."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(folder.glob("adapter_*")):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
