"""Where the workbench starts: joins the command line and the screen, which do not know each other."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli.streams import guard_streams

if TYPE_CHECKING:
    from workbench.runs.new_bench import BenchRequest


def main() -> int:
    """Carry out the command line; the exit code."""
    guard_streams()
    try:
        Path.cwd()
    except OSError as error:  # every path is looked up from there
        sys.stderr.write(f"workbench: the folder you are in cannot be used: {error.strerror}.\n  Run: cd ~\n")
        return 2
    try:
        return _main(sys.argv[1:])
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "workbench"):
            raise
        sys.stderr.write(_explain_missing(package, error))
        return 2


def _main(arguments: list[str]) -> int:
    if _only_opens(arguments):
        return _open_at_once(Path(arguments[0]) if arguments else None)
    from workbench.cli.app import run

    return run(arguments, _open_screen)


def _explain_missing(package: str, error: ImportError) -> str:
    """Why nothing can be started, and the command for it. Imports the standard library alone."""
    from workbench.package_commands import mend_import

    reason = f"the package {package} cannot be loaded: {error}"
    if package in sys.stdlib_module_names:
        reason = f"this Python ({sys.executable}) was built without {package}"
    return f"workbench: {reason}.\n  Run: {mend_import(package)}\n"


def _only_opens(arguments: list[str]) -> bool:
    """Whether this is the everyday way in, which needs no parser: the first frame waits for every import."""
    plain = not arguments or (
        len(arguments) == 1 and arguments[0].endswith(".bench.yaml") and Path(arguments[0]).is_file()
    )
    return plain and sys.stdin.isatty() and sys.stdout.isatty()


def _open_at_once(bench: Path | None) -> int:
    from workbench.cli import terminal
    from workbench.errors import WorkbenchError

    try:
        return _open_screen(bench, None)
    except WorkbenchError as error:
        terminal.log_error(error)
        return terminal.USAGE


def _open_screen(
    bench: Path | None, model: Path | None, proposal: BenchRequest | None = None, review: Path | None = None
) -> int:
    from workbench.tui.app import run_app

    return run_app(bench, model, proposal, review)


if __name__ == "__main__":
    sys.exit(main())
