"""Asking before a bench runs Python code of its own: on a terminal by a question, elsewhere (as in CI) by `--trust`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.cli import terminal
from workbench.errors import ScorerError


def confirm_trust(scorers: Sequence[str | dict[str, dict[str, Any]]], folder: Path, trusted: bool) -> None:
    """Ask about code that was not trusted in this version yet, or take --trust for an answer, and remember it.

    folder: the bench's. Raises ScorerError where the answer is no, or where nobody can be asked.
    """
    from workbench.scoring.confinement_probe import describe_unconfined
    from workbench.scoring.trust import describe_code, find_untrusted, require_trust, trust

    found = find_untrusted(scorers, folder)
    if not found:
        return
    if not trusted and not (sys.stdin.isatty() and sys.stderr.isatty()):
        require_trust(scorers, folder)
    kept = describe_unconfined(found)
    if not trusted:
        terminal.log(f"This bench runs Python code of its own:\n{describe_code(found)}")
    if kept:
        terminal.log(kept)
    if not trusted:
        terminal.log("It runs with your permissions. Run it? [y/N] ", end="")
        if sys.stdin.readline().strip().casefold() not in ("y", "yes"):
            raise ScorerError("The bench's Python code was not run.", "Without it the bench cannot be run.")
    trust(found)
