"""`workbench models --about URL`: a server's capability card, and the servers that `workbench models` lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.cli import terminal

if TYPE_CHECKING:
    from workbench.inference.remote.card import CapabilityCard
    from workbench.inference.remote.found_server import FoundServer
    from workbench.models.reference import Model
    from workbench.settings import Settings


def print_card(model: Model, adapters: Sequence[str], settings: Settings, json: bool) -> int:
    """Probe a server's model and print its card; the exit code. Raises WorkbenchError where it does not answer.

    adapters: to prove; empty: all that the server lists, a few at most.
    """
    card = _probe(model, adapters, settings)
    if json:
        import msgspec

        terminal.write_json(msgspec.json.format(msgspec.json.encode(card)).decode() + "\n")
    else:
        terminal.write(_lay_out(model.name, card))
    return terminal.OK if all(proof.holds for proof in card.adapters) else terminal.USAGE


def _probe(model: Model, adapters: Sequence[str], settings: Settings) -> CapabilityCard:
    from workbench.inference.pool import Pool
    from workbench.inference.server_probe import probe_server

    pool = Pool.configured(settings)
    try:
        return probe_server(pool, model, adapters, terminal.log)
    finally:
        pool.close()


def _lay_out(name: str, card: CapabilityCard) -> str:
    from workbench.inference.remote.card_text import describe_card

    rows = "".join(f"  {row.label:<20}{row.sign} {row.value}\n" for row in describe_card(card))
    return f"{name}\n{rows}"


def describe_servers(found: Sequence[FoundServer]) -> list[dict[str, Any]]:
    """The servers as JSON lists them."""
    import msgspec

    return [msgspec.structs.asdict(server) for server in found]


def print_servers(found: Sequence[FoundServer]) -> None:
    from workbench.cli.table import console, make_table, show

    table = make_table(["server", "dialect", "models", "adapters"])
    for server in found:
        models = server.problem or "\n".join(server.models) or "no model loaded"
        cells = [server.address, server.dialect or f"{server.usual}?", models, "\n".join(server.adapters) or "–"]
        table.add_row(*(show(cell) for cell in cells))
    console().print(table)
