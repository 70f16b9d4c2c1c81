"""ServerDialect: how one kind of server is asked, and how its answers are read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

from workbench.inference.remote.http import ServerConnection
from workbench.inference.remote.server_model import ServerModel
from workbench.inference.remote.tool_calls import StreamedCalls
from workbench.inference.types import GenerateRequest, Sampling, StopReason, Tokenized, TokenLogprob

_MOST_TOKENS = 2**31 - 1


class HttpCall(NamedTuple):
    """A request that is answered by a stream. form: how the stream is written."""

    path: str
    body: dict[str, Any]
    form: Literal["events", "lines"] = "events"


class AnswerPiece(NamedTuple):
    """Text of an answer, or tokens behind it."""

    text: str = ""
    thinking: bool = False
    tokens: tuple[TokenLogprob, ...] = ()


@dataclass(slots=True)
class StreamedAnswer:
    """What a server has said of an answer so far, its text aside; None: it did not tell.

    stops: whether stop strings were asked for. seconds: of the server's own clock. refusal: why it ended the answer.
    calls: of tools, where the request had some; None where it had none.
    """

    stops: bool = False
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    thinking_tokens: int | None = None
    stop_reason: StopReason | None = None
    model: str = ""
    fingerprint: str = ""
    prompt_seconds: float | None = None
    decode_seconds: float | None = None
    load_seconds: float | None = None
    refusal: str = ""
    notes: list[str] = field(default_factory=list)
    calls: StreamedCalls | None = None

    def drop_impossible(self) -> None:
        """Take counts and times that cannot be for not told: a server may send any number."""
        for name in ("prompt_tokens", "cached_tokens", "output_tokens", "thinking_tokens"):
            count = getattr(self, name)
            if type(count) is not int or not 0 <= count <= _MOST_TOKENS:
                setattr(self, name, None)
        for name in ("prompt_seconds", "decode_seconds", "load_seconds"):
            seconds = getattr(self, name)
            if not isinstance(seconds, (int, float)) or not 0 <= seconds < math.inf:
                setattr(self, name, None)


class DialectRequest(NamedTuple):
    """A request as a dialect is handed it: its messages fitted, its sampling checked.

    left_out: fields of Sampling that are not sent. max_completion_tokens: how the server calls the limit.
    chat_template: to use instead of the model's own; None: the model's own.
    """

    request: GenerateRequest
    model: ServerModel
    left_out: frozenset[str] = frozenset()
    max_completion_tokens: bool = False
    chat_template: str | None = None

    @property
    def sampling(self) -> Sampling:
        return self.request.sampling

    @property
    def continues(self) -> bool:
        """Whether the last message is to be continued rather than answered."""
        messages = self.request.messages
        return self.request.mode == "chat" and bool(messages) and messages[-1].role == "assistant"


class ServerDialect(Protocol):
    """sampling: the fields of Sampling that can be sent. scales: whether an adapter may have another scale than 1.
    counts: whether a server tells the tokens of a prompt before it answers. caches_by_slot: whether its
    prompt cache is the last prompt of each slot. title: the server's name in words."""

    name: ClassVar[str]
    title: ClassVar[str]
    sampling: ClassVar[frozenset[str]]
    scales: ClassVar[bool]
    counts: ClassVar[bool]
    caches_by_slot: ClassVar[bool]

    async def describe(self, connection: ServerConnection, wanted: str) -> ServerModel:
        """What the server says of a model. wanted: its name; "": the only one.

        Raises ServerError, and ModelError that lists the models where there are several or none of that name.
        """
        ...

    def check(self, ask: DialectRequest) -> Iterator[str]:
        """What of a request it cannot be told, each with the field's name."""
        ...

    def call(self, ask: DialectRequest) -> HttpCall: ...

    def list_adapters(self, ask: DialectRequest) -> dict[str, Any]:
        """What of a request's body says which adapters act; the bare base where it has none."""
        ...

    def read(self, event: dict[str, Any], answer: StreamedAnswer) -> Iterator[AnswerPiece]:
        """The pieces of one object of the stream; what else it says goes into the answer. Raises ServerError."""
        ...

    async def tokenize(self, connection: ServerConnection, ask: DialectRequest) -> Tokenized:
        """The request as the model would see it. Raises ServerError where the server does not tell."""
        ...
