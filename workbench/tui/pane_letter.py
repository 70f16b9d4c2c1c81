"""The letter by which a pane is called."""

from __future__ import annotations

from string import ascii_uppercase


def name_pane(index: int) -> str:
    """A to Z; from the 27th pane on, its number."""
    return ascii_uppercase[index] if index < len(ascii_uppercase) else str(index + 1)
