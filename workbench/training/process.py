"""Process: how a process that trains is started: the same interpreter, this package, none of the terminal.

Knows nothing of what it does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import workbench


def command(module: str, *arguments: str) -> list[str]:
    """The command line of a module of child/."""
    return [sys.executable, "-m", f"workbench.training.child{module}", *arguments]


def environment() -> dict[str, str]:
    """This process's, with this package where the other one finds it."""
    root = str(Path(workbench.__file__).parents[1])
    given = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([root, given] if given else [root])}
