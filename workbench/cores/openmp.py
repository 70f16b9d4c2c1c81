"""How long OpenMP's threads wait for each other before they let go of a core.

Knows nothing of the libraries that use it; each of them reads this once, when it is loaded.
"""

from __future__ import annotations

import os

WITHIN_STEP = 2_000
"""Turns, for a library that computes a whole step in one go. A thread that waits for one without a core keeps that core
from it: by default for as long as a hundred steps take. So few cost nothing where each thread has a core; fewer, or
none, make every step on an idle machine slower."""

BETWEEN_OPERATIONS = 10_000
"""Turns, for a library that comes back to its caller after each operation, which is longer than the above: threads that
sleep meanwhile are often woken on one core, and then two are slower than one."""


def shorten_waits(turns: int) -> None:
    """Set it for libraries that are loaded from now on, unless a person has set it."""
    os.environ.setdefault("GOMP_SPINCOUNT", str(turns))
