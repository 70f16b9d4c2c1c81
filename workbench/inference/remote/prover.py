"""Prover: makes a server's capability card once, and proves each adapter once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from workbench.errors import WorkbenchError
from workbench.inference.remote.adapters import prove_adapter
from workbench.inference.remote.card import AdapterProof, CapabilityCard
from workbench.inference.remote.clock import RequestClock
from workbench.inference.remote.probe import make_card
from workbench.inference.remote.probe_connection import ProbeConnection
from workbench.inference.remote.proof import Proof, TokenCounter
from workbench.inference.remote.server import ModelServer
from workbench.models.reference import Applied

PAUSE = 0.25
"""Seconds between looks at whether the server is asked for answers."""


class Prover:
    """Of one connected server. For the tasks of one event loop."""

    def __init__(self, server: ModelServer, clock: RequestClock, count: TokenCounter | None = None) -> None:
        """count: the tokens of a prompt by a tokenizer of this machine; None where none is known."""
        self._count = count
        self._server, self._clock = server, clock
        self._connection = ProbeConnection(server, clock)
        self._lock = asyncio.Lock()
        self._card: CapabilityCard | None = None
        self._proofs: dict[tuple[str, float], AdapterProof] = {}
        self._background: asyncio.Task[None] | None = None

    async def prove(self, adapters: Sequence[Applied] = ()) -> CapabilityCard:
        """The card, with what was seen of every adapter that was ever asked for. Raises EngineError.

        A failed attempt is made again by the next call.
        """
        async with self._lock:
            card = self._card or await make_card(self._connection, self._count)
            for applied in adapters:
                key = (applied.adapter.name, applied.scale)
                if key not in self._proofs:
                    self._proofs[key] = await prove_adapter(self._connection, applied)
            proofs = tuple(self._proofs.values())
            self._card = card if card.adapters == proofs else replace(card, adapters=proofs)
        return self._card

    def begin(self, on_card: Callable[[CapabilityCard], None]) -> None:
        """Make the card once nobody waits for the server, so that no answer is slower for it. A server that cannot be
        probed shows it in its answers."""
        if self._background is None:
            self._background = asyncio.create_task(self._prove_quietly(on_card))

    def cancel(self) -> None:
        """End what goes on in the background."""
        if self._background:
            self._background.cancel()

    async def _prove_quietly(self, on_card: Callable[[CapabilityCard], None]) -> None:
        while self._server.queue.outstanding:
            await self._clock.sleep(PAUSE)
        try:
            on_card(await self.prove())
        except WorkbenchError:
            self._background = None  # the next request tries again

    def hold(self, card: CapabilityCard) -> Proof:
        """What the server is held to from now on."""
        return Proof(card, self._count)
