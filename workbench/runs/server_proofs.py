"""Servers proved before their first cell: the capability card is kept with the run, each adapter is shown to act."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import msgspec

from workbench.errors import ServerMismatchError
from workbench.inference.pool import Pool
from workbench.inference.remote.adapters import check_proof
from workbench.inference.remote.card import CapabilityCard, compare_cards
from workbench.models.reference import Applied, Model
from workbench.runs.serialisation import read_card
from workbench.runs.work_queue import WorkQueue
from workbench.runs.writer import RunWriter


class ServerProofs:
    """See the module. For one thread."""

    def __init__(self, pool: Pool, writer: RunWriter) -> None:
        self._pool, self._writer = pool, writer
        self._judges: dict[str, asyncio.Future[None]] = {}

    async def prove(self, queue: WorkQueue) -> None:
        """Probe the server of a queue's model; nothing for a model of this machine.

        Raises EngineError where it does not answer, and ServerMismatchError where an adapter does not act, or the
        server is not what it was when the run began.
        """
        if queue.model:
            await self._prove(queue.name, queue.model, tuple(dict.fromkeys(_list_adapters(queue))), True)

    async def prove_judge(self, name: str, model: Model) -> None:
        """The same for a model that scorers call, once a run; what its name is in the bench."""
        if name not in self._judges:
            self._judges[name] = asyncio.ensure_future(self._prove(name, model, (), False))
        await asyncio.shield(self._judges[name])  # a cell that is cancelled leaves it to the others

    async def _prove(self, name: str, model: Model, adapters: Sequence[Applied], renew: bool) -> None:
        future = self._pool.prove(model, adapters, renew) if model.remote else None
        if future is None:
            return
        card = await asyncio.wrap_future(future)
        for proof in card.adapters:
            if not proof.problem:  # else the cells of its variant say what is wrong with it
                check_proof(card.address, proof)
        self._keep(name, card)

    def _keep(self, name: str, card: CapabilityCard) -> None:
        before = read_card(self._writer.config.cards.get(name, ""))
        changes = compare_cards(before, card) if before else ()
        if changes:
            raise ServerMismatchError(
                f"{name} is not the model that the run began with: {'; '.join(changes)}.",
                "Start a new run, or have the server as it was.",
            )
        self._writer.keep_card(name, msgspec.json.encode(card).decode())


def _list_adapters(queue: WorkQueue) -> Iterator[Applied]:
    for planned in queue.variants:
        if planned.provenance:
            yield from (one for one in planned.provenance.applied if one.scale)
