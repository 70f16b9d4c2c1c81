"""Prices of hosted models from a table that is installed with the optional extra `prices`; nothing is downloaded.

A price is found by the address of the provider as well as by the model's name: a server of one's own that serves a
model under a famous name costs what its machine costs.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from workbench.endpoint import is_loopback
from workbench.models.reference import Model
from workbench.runs.cost import Price


def find_list_price(model: Model) -> Price | None:
    """The list price of a hosted model; None for one of this machine, and for one that is not known."""
    endpoint = model.remote
    if endpoint is None or is_loopback(endpoint.urls[0]):
        return None
    return find_table_price(endpoint.urls[0], endpoint.model)


def is_paid(model: Model) -> bool:
    """Whether a model may cost money by its tokens: it runs on somebody's server, not on this machine."""
    return model.remote is not None and not all(map(is_loopback, model.remote.urls))


def find_table_price(address: str, model: str, now: datetime | None = None) -> Price | None:
    """The list price of a provider's model, for a million tokens; None where it is not known, or there is no table.

    now: prices change by the day. Of a price that rises with the length of the prompt, the first step is taken.
    """
    try:
        from genai_prices import data_snapshot
    except ImportError:
        return None
    try:
        _, found = data_snapshot.get_snapshot().find_provider_model(model, None, None, address)
        listed = found.get_prices(now or datetime.now(UTC))
    except (LookupError, ValueError):
        return None
    read, written = _read(listed.input_mtok), _read(listed.output_mtok)
    return Price(read, written) if read is not None and written is not None else None


def _read(price: Any) -> float | None:
    base = getattr(price, "base", price)
    return None if base is None else float(base)
