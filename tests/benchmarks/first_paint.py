"""First paint: from the command to the first frame, against a Textual app that shows one line of text."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from tests.benchmarks.terminal import MeasuredTerminal

MINIMAL = """
from textual.app import App
from textual.widgets import Static
class Minimal(App):
    def compose(self):
        yield Static("first frame")
Minimal().run()
"""
ROUNDS = 7


def measure() -> list[tuple[str, str, str]]:
    """Rows for the table: what, figure, aim."""
    bench = str(Path("prompts/demo.bench.yaml").resolve())
    ours = [sys.executable, "-m", "workbench", bench]
    minimal = [sys.executable, "-c", MINIMAL]
    pairs = [(_paint(ours, b"workbench"), _paint(minimal, b"first frame")) for _ in range(ROUNDS)]
    ratio = statistics.median(mine / theirs for mine, theirs in pairs)
    mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    return [
        (
            "first paint / minimal Textual app",
            f"{ratio:.2f}  ({mine * 1000:.0f} ms / {theirs * 1000:.0f} ms, {ROUNDS} pairs)",
            "at most 1.3",
        )
    ]


def _paint(command: list[str], marker: bytes) -> float:
    terminal = MeasuredTerminal(command)
    try:
        return terminal.wait_for(marker)
    finally:
        terminal.close()
