"""Endpoint: a model that servers run, by their addresses; what a bench and the settings say of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal
from urllib.parse import SplitResult, urlsplit, urlunsplit

import msgspec

from workbench.errors import ModelError

Dialect = Literal["auto", "openai", "vllm", "llama-server", "ollama", "lmstudio", "sglang"]
"""How a server is spoken to; auto: as it answers on connecting."""

KEY_VARIABLE = "WORKBENCH_SERVER_KEY"
"""The environment variable that holds a server's key, unless another one is named."""


class Endpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A model behind one or several addresses.

    urls: such as `http://127.0.0.1:8080`, without `/v1`; several serve the same model.
    model: the server's name for it; empty: the only one it has. key_env: the environment variable with its key.
    concurrency: most requests in flight to one address; 0: as many as it takes.
    server_defaults: fields of Sampling that are not sent, so that the server's own values apply.
    tokenizer: a model on this machine whose tokenizer counts the prompts; empty: none.
    """

    urls: tuple[str, ...]
    dialect: Dialect = "auto"
    model: str = ""
    key_env: str = KEY_VARIABLE
    concurrency: int = 0
    server_defaults: tuple[str, ...] = ()
    tokenizer: str = ""

    @property
    def label(self) -> str:
        """Where it is, in a few words."""
        more = f" and {len(self.urls) - 1} more" if len(self.urls) > 1 else ""
        return f"{self.urls[0]}{more}"


class RemoteModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A model on a server, as a person writes it down.

    remote: the server's address such as `http://127.0.0.1:8080`, or a list of addresses that serve the same model.
    dialect: how the server is spoken to. model: the server's name for the model; empty: the only one it has.
    key_env: environment variable with the server's key; empty: WORKBENCH_SERVER_KEY.
    context_tokens: size of the context; empty: as the server says.
    concurrency: most requests in flight to one address; 0: as many as it takes.
    server_defaults: sampling fields that are not sent, such as temperature for a hosted reasoning model.
    tokenizer: a .gguf file or a Hugging Face folder on this machine with the same tokenizer and template, by which
    prompts are counted, so that a server that cuts one is found out.
    """

    remote: str | tuple[str, ...]
    dialect: Dialect = "auto"
    model: str = ""
    key_env: str = ""
    context_tokens: int | None = None
    concurrency: int = 0
    server_defaults: tuple[str, ...] = ()
    tokenizer: str = ""


def is_address(name: str) -> bool:
    """Whether a name is the address of a server rather than that of a model."""
    return name.lower().startswith(("http://", "https://"))


def is_loopback(url: str) -> bool:
    """Whether an address is one of this machine."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or bool(re.fullmatch(r"127(\.\d+){1,3}", host))


def make_endpoint(
    remote: str | Sequence[str],
    dialect: Dialect = "auto",
    model: str = "",
    key_env: str = "",
    concurrency: int = 0,
    server_defaults: Sequence[str] = (),
    tokenizer: str = "",
) -> Endpoint:
    """The endpoint at one or several addresses. Raises ModelError for what is no server's address.

    A model's name may stand behind the address: `http://127.0.0.1:11434#qwen3:8b`.
    """
    addresses = [remote] if isinstance(remote, str) else list(remote)
    variable = key_env or KEY_VARIABLE
    if not addresses:
        raise ModelError("A remote model has no address.", "Name one such as http://127.0.0.1:8080.")
    if len(addresses) == 1 and not model:
        address, _, model = addresses[0].partition("#")
        addresses = [address]
    urls = tuple(dict.fromkeys(clean_address(address, variable) for address in addresses))
    return Endpoint(urls, dialect, model, variable, concurrency, tuple(server_defaults), tokenizer)


def clean_address(address: str, key_variable: str = KEY_VARIABLE) -> str:
    """An address in one form. Raises ModelError for one that has no host, no sound port, or a key in it."""
    parts = _split(address.strip())
    if parts is None:
        raise ModelError(
            f"{_without_secrets(address)} is not a server's address.",
            f"Expected one such as http://127.0.0.1:8080. A key belongs into the environment, as {key_variable}.",
        )
    path = parts.path.rstrip("/").removesuffix("/v1")
    return urlunsplit((parts.scheme, parts.netloc.lower(), path, "", ""))


def _split(address: str) -> SplitResult | None:
    try:
        parts = urlsplit(address)
        known = parts.scheme in ("http", "https") and not parts.query and not parts.fragment
        sound = bool(parts.hostname) and parts.port != 0 and parts.username is None and parts.password is None
    except ValueError:
        return None
    return parts if known and sound and not re.search(r"[\s\x00-\x1f\x7f\\]", address) else None


def _without_secrets(address: str) -> str:
    """An address as it may be shown: without a name, a password or a query in it."""
    return re.sub(r"\?.*", "?…", re.sub(r"//[^/@]*@", "//…@", address))
