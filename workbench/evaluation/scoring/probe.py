"""Probe: what this system cannot take away from a process that runs a person's function, found out by trying.

Knows nothing of any bench.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from workbench.child_process import command, minimal_environment, scratch
from workbench.evaluation.local_code import LocalCode

_SECONDS = 60.0


def find_unconfined() -> tuple[str, ...]:
    """What such a process keeps, each with the reason. Slow: it starts one."""
    with scratch() as folder:
        try:
            tried = subprocess.run(
                command("workbench.evaluation.scoring.confinement"),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                env=minimal_environment(TMPDIR=str(folder)),
                cwd=folder,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            return (f"all of it ({type(error).__name__} when that was tried)",)
    return tuple(tried.stdout.splitlines())


def describe_unconfined(found: Sequence[LocalCode]) -> str:
    """A sentence about what cannot be taken away from code that a person is asked about; "" for nothing."""
    kept = [
        what for what in find_unconfined() if not all(code.permissions.network and "network" in what for code in found)
    ]
    return f"This system cannot take away from it: {', '.join(kept)}." if kept else ""
