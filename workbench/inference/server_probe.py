"""Probe a server's model for a person who looks on: its card first, then a proof of each adapter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workbench.errors import ModelError
from workbench.inference.pool import Pool
from workbench.inference.remote.card import CapabilityCard
from workbench.models.reference import Adapter, Applied, Model
from workbench.units import format_plural

MOST_PROVED = 8
"""adapters that are proved where none is named"""


def probe_server(
    pool: Pool, model: Model, adapters: Sequence[str] = (), on_step: Callable[[str], None] = lambda step: None
) -> CapabilityCard:
    """The card, with adapters proved. Blocks. Raises WorkbenchError where the server does not answer.

    adapters: to prove; empty: all that the server lists, MOST_PROVED at most. on_step: gets what is done now, in words.
    """
    on_step(f"Probing {model.location} with about 20 short requests.")
    card = _prove(pool, model, adapters)
    rest = () if adapters else [one.name for one in card.model.adapters[:MOST_PROVED]]
    if rest:
        on_step(f"Proving {format_plural(len(rest), 'adapter')}: {', '.join(rest)}.")
        card = _prove(pool, model, rest)
    return card


def _prove(pool: Pool, model: Model, names: Sequence[str]) -> CapabilityCard:
    future = pool.prove(model, [Applied(Adapter(name, format="remote")) for name in names])
    if future is None:
        raise ModelError(f"{model.name} is not on a server: it has no capability card.", "Choose a server's model.")
    return future.result()
