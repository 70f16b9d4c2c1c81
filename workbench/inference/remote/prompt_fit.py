"""Fit a prompt into a server's context, by the server's own template and tokenizer where it tells them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import accumulate

import msgspec

from workbench.inference.remote.server import ModelServer
from workbench.inference.types import GenerateRequest, Tokenized
from workbench.inference.worker.request_fit import FittedRequest, fit_request, measure_request
from workbench.models.reference import ModelInfo
from workbench.prompting.context_fit import Budget, PictureCount
from workbench.prompting.picture_size import PictureSize

_FRAME_BYTES = 64
"""What a chat template may write around a message, at most, as tokens."""


class _SyncTokenizer:
    """A server as fit_request asks it, from a thread beside the event loop."""

    def __init__(self, server: ModelServer, info: ModelInfo, loop: asyncio.AbstractEventLoop) -> None:
        self._server, self.info, self._loop = server, info, loop

    def count(self, requests: Sequence[GenerateRequest]) -> tuple[int, ...]:
        return tuple(len(self.tokenize(request).ids) for request in requests)

    def tokenize(self, request: GenerateRequest) -> Tokenized:
        return asyncio.run_coroutine_threadsafe(tokenize_remotely(self._server, request), self._loop).result()


async def fit_remotely(server: ModelServer, info: ModelInfo, request: GenerateRequest) -> FittedRequest:
    """The request with the messages that are sent. Raises BudgetError where its prompt does not fit, as far as that is
    known: of a server that tells no counts, the server says so itself."""
    pictures = any(message.pictures for message in _with_messages(request).messages)  # nobody tells their tokens
    if not server.dialect.counts or not info.context_tokens or pictures or _surely_fits(info, request):
        return FittedRequest(_with_messages(request), _uncounted(info, request))
    tokenizer = _SyncTokenizer(server, info, asyncio.get_running_loop())
    return await asyncio.to_thread(fit_request, tokenizer, request)


async def measure_remotely(server: ModelServer, info: ModelInfo, request: GenerateRequest) -> Budget:
    """How a prompt divides over the context; nothing but the limits where the server tells no counts."""
    if not server.dialect.counts:
        return _uncounted(info, request)
    tokenizer = _SyncTokenizer(server, info, asyncio.get_running_loop())
    return await asyncio.to_thread(measure_request, tokenizer, request)


async def tokenize_remotely(server: ModelServer, request: GenerateRequest) -> Tokenized:
    """The request as the model would see it, with the places of its tokens and messages. Raises ServerError."""
    request = _with_messages(request)
    found = await server.dialect.tokenize(server.connection, server.ask(request))
    if len("".join(found.pieces)) != len(found.text):
        return found  # pieces that are shown otherwise than they stand in the text
    offsets = tuple(accumulate((len(piece) for piece in found.pieces[:-1]), initial=0)) if found.pieces else ()
    return msgspec.structs.replace(found, offsets=offsets, starts=_find_starts(found.text, request))


def _find_starts(text: str, request: GenerateRequest) -> tuple[int, ...]:
    """Where each message's content begins in the text; nothing where one cannot be found."""
    starts, at = [], 0
    for message in request.messages:
        at = text.find(message.content, at)
        if at < 0:
            return ()
        starts.append(at)
        at += len(message.content)
    return tuple(starts)


def _surely_fits(info: ModelInfo, request: GenerateRequest) -> bool:
    """Whether a batch request fits whatever the tokenizer makes of it: a token is a byte at least."""
    if request.priority == 0 or request.tools:
        return False
    messages = _with_messages(request).messages
    most = sum(len(message.content.encode(errors="replace")) + _FRAME_BYTES for message in messages) + _FRAME_BYTES
    return most + request.sampling.max_tokens <= info.context_tokens


def _uncounted(info: ModelInfo, request: GenerateRequest) -> Budget:
    shown = [one for message in _with_messages(request).messages for one in message.pictures]
    sizes = [one.size or PictureSize(0, 0) for one in shown]
    pictures = tuple(PictureCount(one.name, *size) for one, size in zip(shown, sizes, strict=True))
    return Budget(0, 0, 0, request.sampling.max_tokens, info.context_tokens, counted=False, pictures=pictures)


def _with_messages(request: GenerateRequest) -> GenerateRequest:
    prompt = request.prompt
    return request if prompt is None else msgspec.structs.replace(request, messages=prompt.messages, prompt=None)
