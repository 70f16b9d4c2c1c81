"""What a probe needs of a connection to a server: plain requests, and answers in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from workbench.inference.remote.http import Reply
from workbench.inference.remote.server_model import ServerModel
from workbench.inference.types import Completion, GenerateRequest, TokenLogprob
from workbench.models.reference import Applied


class RemoteAnswer(NamedTuple):
    """An answer in full. tokens: with their log-probabilities, where they were asked for and came. model: the name that
    the server says answered; empty where it says none."""

    completion: Completion
    tokens: tuple[TokenLogprob, ...] = ()
    model: str = ""


class ServerApi(Protocol):
    """What one model's server can be asked beside answers. Every method raises EngineError where it does not answer.

    address: the server's, without `/v1`. dialect: how it is spoken to. model_name: the server's name for the model.
    unsupported: fields of Sampling that the dialect cannot send.
    """

    @property
    def address(self) -> str: ...
    @property
    def dialect(self) -> str: ...
    @property
    def model_name(self) -> str: ...
    @property
    def unsupported(self) -> frozenset[str]: ...

    async def describe(self) -> ServerModel:
        """What the server says of the model now."""
        ...

    def adapter_fields(self, applied: Sequence[Applied]) -> dict[str, Any]:
        """What of a request's body says which adapters act. Raises ModelError for one that the server lacks."""
        ...

    def template_kwargs(self, request: GenerateRequest) -> dict[str, Any]:
        """The variables of the chat template that a request has."""
        ...

    async def get(self, path: str) -> Reply:
        """What stands under a path. A status from 400 on is returned, not raised."""
        ...

    async def post(self, path: str, body: Mapping[str, Any]) -> Reply:
        """The reply to a body that is sent as JSON. A status from 400 on is returned, not raised."""
        ...


class Connection(ServerApi, Protocol):
    """One model on one server, as a probe asks it."""

    async def answer(self, request: GenerateRequest) -> RemoteAnswer:
        """The whole answer. Raises EngineError for a request that the server refuses."""
        ...


def find(body: Any, *path: str | int) -> Any:
    """What stands under a path of keys and indexes; None where a reply has no such place."""
    for key in path:
        try:
            body = body[key]
        except (KeyError, IndexError, TypeError):
            return None
    return body
