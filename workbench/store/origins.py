"""Origins: what the answers of a run's variants came from, and how long such answers took.

Knows nothing of what an origin says: its text is kept as it is, once however many runs share it.
"""

from __future__ import annotations

import hashlib

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
    query = "SELECT coalesce(body, '') FROM variants LEFT JOIN origins ON origins.key = origin WHERE run = ?"
    return tuple(body for (body,) in store.read(f"{query} ORDER BY place", (run,)))


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
        ((cells, seconds),) = store.read(f"SELECT sum(cells), sum(seconds) FROM paces WHERE {where}", (value,))
        if cells:
            return float(seconds / cells)
    return None


def digest_origin(body: str) -> bytes:
    return hashlib.blake2b(body.encode(errors="surrogatepass"), digest_size=16).digest()
