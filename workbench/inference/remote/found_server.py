"""FoundServer: a model server that listens on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from workbench.endpoint import make_endpoint
from workbench.models.reference import Model

PORTS: Mapping[int, str] = MappingProxyType(
    {11434: "Ollama", 1234: "LM Studio", 8080: "llama-server", 8000: "vLLM", 30000: "SGLang"}
)
"""The port that each server takes where it is not told another one."""


class FoundServer(msgspec.Struct, frozen=True):
    """A server that listens. usual: what takes its port by default. dialect: as it was found to speak; empty where it
    speaks none. models, adapters: by the names it has for them. problem: why it lists none; empty where it does."""

    address: str
    usual: str
    dialect: str = ""
    models: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    problem: str = ""

    def list_models(self) -> list[Model]:
        """Its models, each under the address by which a variant can name it."""
        names = [self.address if len(self.models) == 1 else f"{self.address}#{name}" for name in self.models]
        return [Model(name, format="remote", remote=make_endpoint(name)) for name in names]
