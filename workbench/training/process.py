"""Process: how a process that trains is started: the same interpreter, this package, none of the terminal.

Knows nothing of what it does.
"""

from __future__ import annotations

from workbench import child_process


def command(module: str, *arguments: str) -> list[str]:
    """The command line of a module of child/, such as `preview`; its own `main()` where none is named."""
    return child_process.command(f"workbench.training.child.{module or '__main__'}", *arguments)
