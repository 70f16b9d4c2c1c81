"""FleetProver: the capability cards of several addresses of one model, and the proof that they answer alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from workbench.errors import ModelError, WorkbenchError
from workbench.inference.remote.adapters import PROMPTS, ask_prompts, count_others, find_mean_change
from workbench.inference.remote.card import CapabilityCard, compare_cards
from workbench.inference.remote.clock import RequestClock
from workbench.inference.remote.connection import RemoteAnswer
from workbench.inference.remote.errors import ServerError
from workbench.inference.remote.fleet import Fleet
from workbench.inference.remote.probe_connection import ProbeConnection
from workbench.inference.remote.proof import Proof, TokenCounter
from workbench.inference.remote.prover import PAUSE, Prover
from workbench.inference.remote.server import ModelServer
from workbench.inference.remote.server_model import shorten_path
from workbench.models.reference import Applied

_MOST_DIFFERENCE = 0.1
"""nats; other weights differ by more, other graphics cards by less"""


class FleetProver:
    """As a Prover, of every address that is asked. One that does not answer any more is left out."""

    def __init__(self, fleet: Fleet, clock: RequestClock, count: TokenCounter | None = None) -> None:
        """count: as a Prover's."""
        self._fleet, self._clock = fleet, clock
        self._provers = {server.address: Prover(server, clock, count) for server in fleet.alive}
        self._lock = asyncio.Lock()
        self._equal = False
        self._background: asyncio.Task[None] | None = None

    async def prove(self, adapters: Sequence[Applied] = ()) -> CapabilityCard:
        """The card of the first address. Raises EngineError, and ModelError where another one is not its equal."""
        async with self._lock:
            servers = self._fleet.alive
            found = await asyncio.gather(*(self._prove(server, adapters) for server in servers))
            cards = [(server, card) for server, card in zip(servers, found, strict=True) if card]
            if not cards:
                return await self._provers[servers[0].address].prove(adapters)  # which says why
            if not self._equal:
                _check_cards([card for _, card in cards])
                await self._check_answers([server for server, _ in cards])
                self._equal = True
        return cards[0][1]

    def begin(self, on_card: Callable[[CapabilityCard], None]) -> None:
        """As a Prover's."""
        if self._background is None:
            self._background = asyncio.create_task(self._prove_quietly(on_card))

    def cancel(self) -> None:
        """As a Prover's."""
        if self._background:
            self._background.cancel()

    def hold(self, card: CapabilityCard) -> Proof:
        """As a Prover's; any of the addresses is held to the card of the first."""
        return self._provers[card.address].hold(card)

    async def _prove_quietly(self, on_card: Callable[[CapabilityCard], None]) -> None:
        while any(server.queue.outstanding for server in self._fleet.alive):
            await self._clock.sleep(PAUSE)
        try:
            on_card(await self.prove())
        except WorkbenchError:
            self._background = None  # the next request tries again

    async def _prove(self, server: ModelServer, adapters: Sequence[Applied]) -> CapabilityCard | None:
        try:
            return await self._provers[server.address].prove(adapters)
        except ServerError as error:
            if error.kind != "unreachable":
                raise
            self._fleet.leave_out(server, error)
            return None

    async def _check_answers(self, servers: Sequence[ModelServer]) -> None:
        """Raise ModelError for an address that answers otherwise than the first."""
        asked = [ask_prompts(ProbeConnection(server, self._clock), ()) for server in servers]
        first, *others = await asyncio.gather(*asked)
        for server, answers in zip(servers[1:], others, strict=True):
            if difference := _describe_difference(first, answers):
                raise _refuse(server.address, servers[0].address, difference)


def _check_cards(cards: Sequence[CapabilityCard]) -> None:
    """Raise ModelError for cards that differ in more than the version of the server and the place of the file."""
    first, *others = map(_strip, cards)
    for other in others:
        if changes := compare_cards(first, other):
            raise _refuse(other.address, first.address, "; ".join(changes))


def _strip(card: CapabilityCard) -> CapabilityCard:
    model = replace(card.model, server="", name=shorten_path(card.model.name))
    return replace(card, model=model, echoed_model=shorten_path(card.echoed_model))


def _describe_difference(first: Sequence[RemoteAnswer], other: Sequence[RemoteAnswer]) -> str:
    """How far two servers' answers to the same prompts are apart; "" where they are as near as equal models are."""
    change = find_mean_change(first, other)
    if change is not None:
        return f"mean |Δlogprob| {change:.2g} on {len(PROMPTS)} prompts" if change > _MOST_DIFFERENCE else ""
    texts = count_others(first, other)
    return f"another answer to {texts} of {len(PROMPTS)} prompts" if texts > 1 else ""


def _refuse(address: str, first: str, difference: str) -> ModelError:
    return ModelError(
        f"{address} does not serve the same model as {first}: {difference}.",
        "Start all of them alike, or make two models of them.",
    )
