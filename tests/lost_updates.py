"""Processes that change one file in a tight loop, each by what it read, and how many changes were kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROCESSES = 4
UPDATES = 24

_ROOT = Path(__file__).parents[1]


def race(script: str, *arguments: object) -> None:
    """Run the script in several processes, which begin at the same moment. Raises AssertionError for one that fails."""
    code = f"import sys; sys.path.append({str(_ROOT)!r}); print('ready', flush=True); sys.stdin.readline()\n{script}"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        process.communicate(timeout=300)
    assert [process.returncode for process in running] == [0] * PROCESSES
