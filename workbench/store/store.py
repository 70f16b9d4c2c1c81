"""The store's file: opened, brought up to date, read and written safely by several threads and processes.

Knows nothing of what is kept in it.
"""

from __future__ import annotations

from pathlib import Path


class Store:
    """One SQLite file."""

    def __init__(self, path: Path, busy_seconds: float = 10.0) -> None:
        """Open it, made new where there is none. Raises StoreError."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError
