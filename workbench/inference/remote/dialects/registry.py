"""The dialects by name, and which one a server speaks."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar, cast

from workbench.errors import ModelError
from workbench.inference.remote import dialects
from workbench.inference.remote.dialects.protocol import ServerDialect
from workbench.inference.remote.errors import ServerError
from workbench.inference.remote.http import Reply, ServerConnection

D = TypeVar("D", bound=type)

_FOUND: dict[str, ServerDialect] = {}

OWNERS = MappingProxyType(
    {"llamacpp": "llama-server", "vllm": "vllm", "sglang": "sglang", "organization_owner": "lmstudio"}
)
"""What stands as `owned_by` in a server's list of models -> its dialect."""


def register_dialect(kind: D) -> D:
    """Make a dialect known under its `name`."""
    one = cast(ServerDialect, kind())
    _FOUND[one.name] = one
    return kind


@cache
def server_dialects() -> dict[str, ServerDialect]:
    """Every dialect by name; each module of the package registers its own."""
    for module in pkgutil.iter_modules(dialects.__path__):
        importlib.import_module(f"{dialects.__name__}.{module.name}")
    return _FOUND


def find_dialect(name: str) -> ServerDialect:
    """Raises ModelError for a name that there is not."""
    known = server_dialects()
    if name not in known:
        raise ModelError(f"No such dialect: {name!r}.", f"There are: auto, {', '.join(sorted(known))}.")
    return known[name]


async def detect_dialect(connection: ServerConnection) -> ServerDialect:
    """The dialect of a server, by what it answers. Raises ServerError where nobody answers, or it wants a key."""
    listed = await ask_models(connection)
    check_answered(connection, listed)
    owners = {str(model.get("owned_by", "")) for model in list_models(listed)}
    known = next((OWNERS[owner] for owner in sorted(owners) if owner in OWNERS), None)
    if known:
        return find_dialect(known)
    for path, key, name in (
        ("/api/version", "version", "ollama"),
        ("/props", "default_generation_settings", "llama-server"),
    ):
        if connection.address.startswith("https://"):
            break  # a hosted service: it is not asked for what it does not have
        reply = await connection.get(path)
        if reply.status == 200 and isinstance(reply.body, dict) and key in reply.body:
            return find_dialect(name)
        if reply.status == 503:
            raise connection.explain(reply)
    return find_dialect("openai")


async def ask_models(connection: ServerConnection) -> Reply:
    """A server's list of models. Where an address with a path has none under `/v1`, that path is the API's root."""
    listed = await connection.get("/v1/models")
    if listed.status == 404 and connection.has_path and not connection.is_api_root:
        direct = await connection.get("/models")
        connection.is_api_root = direct.status == 200
        return direct if connection.is_api_root else listed
    return listed


def check_answered(connection: ServerConnection, listed: Reply) -> None:
    """Raise ServerError for a list of models that a server will give to nobody, or not now: without such a list a model
    that is named may still be there."""
    if listed.status in (401, 403, 429, 503) or 300 <= listed.status < 400:
        raise connection.explain(listed)


def list_models(listed: Reply) -> list[dict[str, Any]]:
    """The entries of a server's list of models; none where it has no such list."""
    data = listed.body.get("data") if listed.status == 200 and isinstance(listed.body, dict) else None
    found = data if isinstance(data, list) else []
    return [model for model in found if isinstance(model, dict) and isinstance(model.get("id"), str)]


def choose_model(connection: ServerConnection, wanted: str, names: list[str]) -> str:
    """The model of a server that is meant. Raises ModelError that lists what there is."""
    if wanted:
        return wanted
    if len(names) == 1:
        return names[0]
    if not names:
        raise ModelError(
            f"{connection.address} lists no models.", "Load one there, or name the model: `model` in the bench."
        )
    shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    raise ModelError(
        f"{connection.address} has {len(names)} models, and none is named.",
        f"Name one as `model` in the bench, or behind the address: {connection.address}#{names[0]}. It has: {shown}.",
    )


def refuse_tokens(connection: ServerConnection, title: str) -> ServerError:
    """The error for a server that does not tell how it reads a conversation."""
    return ServerError(
        "refused",
        f"{connection.address} does not tell how it tokenizes a conversation ({title} has no way to ask).",
        "llama-server, vLLM and SGLang do. Of other servers only the answers can be compared.",
    )
