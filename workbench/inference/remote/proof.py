"""Proof: a server held to its capability card, before a request is sent and when its answer has come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from workbench.errors import EngineError
from workbench.inference.remote.card import CONTINUATION, LOGPROBS, CapabilityCard
from workbench.inference.remote.connection import ServerApi
from workbench.inference.remote.dialects.protocol import DialectRequest
from workbench.inference.remote.prompt_ids import KNOWN_DIALECTS, read_ids
from workbench.inference.remote.truncation import TruncationGuard, check_echo
from workbench.inference.sampling_fields import DEFAULTS
from workbench.inference.types import Chunk, GenerateRequest

TokenCounter = Callable[[GenerateRequest], Awaitable[int]]
"""The tokens of a prompt, by a tokenizer of this machine."""

_SEED = "The seed has no effect on this server: the same request gets different answers."


class Proof:
    """See the module. For the tasks of one event loop."""

    def __init__(self, card: CapabilityCard, count: TokenCounter | None = None) -> None:
        self.card = card
        self._count = count
        self._guard = TruncationGuard(card)

    def check_request(self, ask: DialectRequest) -> None:
        """Raise EngineError that names every field of a request that was seen not to act."""
        problems = [
            f"{one.name} {one.state} ({one.evidence})"
            for one in self.card.fields
            if one.state in ("ignored", "refused") and _is_set(one.name, ask) and one.name not in ask.left_out
        ]
        if problems:
            raise EngineError(
                f"{self.card.address} does not act on what the request sets: {'; '.join(problems)}.",
                "Leave it out, or name it in the model's `server_defaults` to have the server's own.",
            )

    def find_notes(self, request: GenerateRequest) -> tuple[str, ...]:
        """What a reader of the answer has to know, one sentence each."""
        seed, sampling = self.card.find("seed"), request.sampling
        drawn = sampling.temperature > 0 and sampling.seed is not None
        return (_SEED,) if drawn and seed and seed.state in ("ignored", "refused") else ()

    async def check_answer(self, request: GenerateRequest, last: Chunk, server: ServerApi) -> None:
        """Raise ServerMismatchError where another model answered, or not the whole prompt was read.

        server: the one that answered; a fleet has several under one card.
        """
        names = [one.adapter.name for one in request.adapters]
        check_echo(self.card, last.server.model if last.server else "", names)
        if last.server is None or not last.server.counted:
            return
        counted = await self._count_tokens(request, server) if self._guard.wants_count(request) else None
        self._guard.check(request, last.prompt_tokens, counted)

    async def _count_tokens(self, request: GenerateRequest, server: ServerApi) -> int | None:
        if self._count:
            return await self._count(request)
        return len(await read_ids(server, request)) if server.dialect in KNOWN_DIALECTS else None


def _is_set(name: str, ask: DialectRequest) -> bool:
    """Whether a request needs a field. A seed is always set, and only noted where it does not act."""
    if name == CONTINUATION:
        return ask.continues
    if name == LOGPROBS:
        return ask.request.top_logprobs > 0
    return name != "seed" and getattr(ask.sampling, name) != getattr(DEFAULTS, name)
