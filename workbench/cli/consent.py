"""Consent: a person is asked before a bench runs Python code to judge answers.

On a terminal the question is put there; elsewhere, as in CI, `--trust` answers it. Knows nothing of what runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from workbench.cli import terminal
from workbench.errors import ScorerError

TRUST = typer.Option("--trust", help="Trust the Python files that the bench's scorers run, as they are now.")


def settle_trust(scorers: Sequence[str | dict[str, dict[str, Any]]], folder: Path, trusted: bool) -> None:
    """Ask about code that nobody has agreed to as it is, or take --trust for an answer, and remember it.

    folder: the bench's. Raises ScorerError where the answer is no, or where nobody can be asked.
    """
    from workbench.evaluation.scoring.probe import describe_unconfined
    from workbench.evaluation.trust import describe_code, find_untrusted, require_trust, trust

    found = find_untrusted(scorers, folder)
    if not found:
        return
    if not trusted and not (sys.stdin.isatty() and sys.stderr.isatty()):
        require_trust(scorers, folder)
    kept = describe_unconfined(found)
    if not trusted:
        terminal.say(f"To judge answers, this bench runs Python code:\n{describe_code(found)}")
    if kept:
        terminal.say(kept)
    if not trusted:
        terminal.say("It can do whatever you can. Run it? [y/N] ", end="")
        if sys.stdin.readline().strip().casefold() not in ("y", "yes"):
            raise ScorerError("The bench's Python code was not run.", "Without it the answers cannot be judged.")
    trust(found)
