"""How long OpenMP's threads wait for each other before they let go of a core.

Knows nothing of the libraries that use it; each of them reads this once, when it is loaded.
"""

from __future__ import annotations

import os

_TURNS = "2000"
"""A thread that waits for one without a core keeps that core from it: by default for as long as a hundred steps take.
So few cost nothing where each thread has a core; fewer, or none, make every step on an idle machine slower."""


def shorten_waits() -> None:
    """Set it for libraries that are loaded from now on, unless a person has set it."""
    os.environ.setdefault("GOMP_SPINCOUNT", _TURNS)
