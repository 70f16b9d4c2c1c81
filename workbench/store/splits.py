"""How datasets were divided for prompt searches: a JSON text for each division, by its digest."""

from __future__ import annotations

from collections.abc import Callable

from workbench.errors import StoreError
from workbench.store.store import Store


def find_splits(store: Store, digest: bytes) -> str | None:
    """The text of a division; None where there is none."""
    rows = store.read("SELECT body FROM valid_splits WHERE digest = ?", (digest,))
    return str(rows[0][0]) if rows else None


def keep_splits(store: Store, digest: bytes, body: str) -> str:
    """Keep a division, unless another process was quicker; the text that is kept now."""
    with store.write() as connection:
        connection.execute("INSERT OR IGNORE INTO splits VALUES (?, ?)", (digest, body))
    return find_splits(store, digest) or body


def change_splits(store: Store, digest: bytes, change: Callable[[str], str]) -> str:
    """Change the text of a division, which no other process does meanwhile; the new one. Raises StoreError."""
    with store.write() as connection:
        rows = connection.execute("SELECT body FROM valid_splits WHERE digest = ?", (digest,)).fetchall()
        if not rows:
            raise StoreError("The division of the data is no longer in the store.", "Start a new search.")
        changed = change(str(rows[0][0]))
        connection.execute("UPDATE splits SET body = ? WHERE digest = ?", (changed, digest))
    return changed
