"""The command line, cold: `workbench --help` against an interpreter that imports typer and does nothing."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 9


def measure() -> list[tuple[str, str, str]]:
    """Rows for the table: what, figure, aim."""
    ours = [sys.executable, "-m", "workbench", "--help"]
    bare = [sys.executable, "-c", "import typer"]
    pairs = [(_run(ours), _run(bare)) for _ in range(ROUNDS)]
    ratio = statistics.median(mine / theirs for mine, theirs in pairs)
    mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    figure = f"{ratio:.2f}  ({mine * 1000:.0f} ms / {theirs * 1000:.0f} ms, {ROUNDS} pairs)"
    return [("cold workbench --help / importing typer", figure, "at most 1.5")]


def _run(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started
