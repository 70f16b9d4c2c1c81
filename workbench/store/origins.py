"""Origins: what the answers of a run's variants came from, and how long such answers took.

Knows nothing of what an origin says: its text is kept as it is, once however many runs share it.
"""

from __future__ import annotations

import hashlib

from workbench.store.runs import count_places
from workbench.store.store import Store


def set_origin(store: Store, run: int, variant: int, body: str) -> None:
    """Say what the answers of a variant, by its place in the run, come from."""
    digest = digest_origin(body)
    with store.write() as connection:
        connection.execute("INSERT OR IGNORE INTO origins (digest, body) VALUES (?, ?)", (digest, body))
        connection.execute(
            "UPDATE variants SET origin = (SELECT key FROM origins WHERE digest = ?) WHERE run = ? AND place = ?",
            (digest, run, variant),
        )


def get_origins(store: Store, run: int) -> tuple[str, ...]:
    """What the answers of each variant come from, in the person's order; "" where that is not known."""
    query = "SELECT place, body FROM valid_variants JOIN valid_origins AS origins ON origins.key = origin WHERE run = ?"
    bodies: dict[int, str] = dict(store.read(query, (run,)))
    return tuple(bodies.get(place, "") for place in range(count_places(store, "variants", run)))


def list_traced(store: Store, run: int) -> list[int]:
    """The places of the variants of which it was written down what their answers come from."""
    query = "SELECT place FROM valid_variants WHERE run = ? AND origin IS NOT NULL ORDER BY place"
    return [place for (place,) in store.read(query, (run,))]


def add_pace(store: Store, origin: bytes, model: str, cells: int, seconds: float) -> None:
    """Remember how long cells took. model: its fingerprint."""
    with store.write() as connection:
        connection.execute(
            "INSERT INTO paces VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET cells = excluded.cells,"
            " seconds = excluded.seconds WHERE excluded.cells * 4 >= cells",  # a few cells say less than many
            (origin, model, cells, seconds),
        )


def estimate_pace(store: Store, origin: bytes, model: str) -> float | None:
    """Seconds a cell: of the same origin, else of its model, else None."""
    for where, value in (("origin = ?", origin), ("model = ?", model)):
        ((cells, seconds),) = store.read(f"SELECT sum(cells), sum(seconds) FROM valid_paces WHERE {where}", (value,))
        if cells:
            return float(seconds / cells)
    return None


def digest_origin(body: str) -> bytes:
    return hashlib.blake2b(body.encode(errors="surrogatepass"), digest_size=16).digest()
