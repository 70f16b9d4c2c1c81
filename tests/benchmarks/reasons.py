"""Why a figure misses its aim, as far as it was found out: a pattern of what the row is called, and a sentence.

The first that fits counts, and only where the aim is missed.
"""

from __future__ import annotations

REASONS: tuple[tuple[str, str], ...] = ()
