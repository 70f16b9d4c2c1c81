"""What the answers of a run's variants came from, and how long such answers took."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from workbench.store.runs import count_positions
from workbench.store.store import Store


def set_provenance(store: Store, run: int, variant: int, body: str) -> None:
    """Say what the answers of a variant, by its index in the run, come from."""
    digest = digest_provenance(body)
    with store.write() as connection:
        connection.execute("INSERT OR IGNORE INTO origins (digest, body) VALUES (?, ?)", (digest, body))
        connection.execute(
            "UPDATE variants SET origin = (SELECT key FROM origins WHERE digest = ?) WHERE run = ? AND position = ?",
            (digest, run, variant),
        )


def get_provenances(store: Store, run: int) -> tuple[str, ...]:
    """What the answers of each variant come from, in the person's order; "" where that is not known."""
    query = (
        "SELECT position, body FROM valid_variants JOIN valid_origins AS origins ON origins.key = origin WHERE run = ?"
    )
    bodies: dict[int, str] = dict(store.read(query, (run,)))
    return tuple(bodies.get(index, "") for index in range(count_positions(store, "variants", run)))


class PromptUse(NamedTuple):
    """A variant that ran a prompt. run: the store's number of it; variant: its index in the run; prompt: its name then;
    body: as in `get_provenances`."""

    run: int
    variant: int
    prompt: str
    body: str


def list_prompt_uses(store: Store, prompts: Sequence[str]) -> list[PromptUse]:
    """The variants, of runs that are not in the trash, whose prompt bore one of these names then."""
    marks = ", ".join("?" * len(prompts))
    query = (
        "SELECT v.run, v.position, json_extract(o.body, '$.prompt.name'), o.body"
        " FROM valid_variants AS v JOIN valid_origins AS o ON o.key = v.origin"
        " JOIN valid_runs AS r ON r.key = v.run WHERE r.removed IS NULL AND CASE WHEN json_valid(o.body)"
        f" THEN json_extract(o.body, '$.prompt.name') END IN ({marks}) ORDER BY v.run, v.position"
    )
    return [PromptUse(*row) for row in store.read(query, tuple(prompts))]


def list_traced(store: Store, run: int) -> list[int]:
    """The places of the variants of which it was written down what their answers come from."""
    query = "SELECT position FROM valid_variants WHERE run = ? AND origin IS NOT NULL ORDER BY position"
    return [index for (index,) in store.read(query, (run,))]


def add_duration(store: Store, origin: bytes, model: str, cells: int, seconds: float) -> None:
    """Remember how long cells took. model: its fingerprint."""
    with store.write() as connection:
        connection.execute(
            "INSERT INTO paces VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET cells = excluded.cells,"
            " seconds = excluded.seconds WHERE excluded.cells * 4 >= cells",  # a few cells say less than many
            (origin, model, cells, seconds),
        )


def estimate_duration(store: Store, origin: bytes, model: str) -> float | None:
    """Seconds a cell: of the same origin, else of its model, else None."""
    for where, value in (("origin = ?", origin), ("model = ?", model)):
        ((cells, seconds),) = store.read(f"SELECT sum(cells), sum(seconds) FROM valid_paces WHERE {where}", (value,))
        if cells:
            return float(seconds / cells)
    return None


def digest_provenance(body: str) -> bytes:
    return hashlib.blake2b(body.encode(errors="surrogatepass"), digest_size=16).digest()
