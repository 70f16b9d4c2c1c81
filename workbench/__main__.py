"""Where the workbench starts: joins the command line and the screen, which do not know each other."""

from __future__ import annotations

import sys
from pathlib import Path

from workbench.cli.app import run


def main() -> int:
    """Carry out the command line; the exit code."""
    return run(sys.argv[1:], _open_screen)


def _open_screen(bench: Path | None, model: Path | None) -> int:
    from workbench.tui.app import run_app

    return run_app(bench, model)


if __name__ == "__main__":
    sys.exit(main())
