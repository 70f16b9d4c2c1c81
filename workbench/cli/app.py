"""The command line: finds the command that is meant and imports no other.

Knows nothing of what commands do, nor of the screen: whoever starts it hands in the way to open one.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

import typer

from workbench import __version__
from workbench.cli import terminal
from workbench.errors import EngineError, WorkbenchError

OpenScreen = Callable[[Path | None, Path | None], int]

COMMANDS = {"open": "open", "compare": "compare", "run": "run", "models": "models", "prompts": "prompts"}
_OWN_OPTIONS = ("--help", "-h", "--version")

HELP = """A workbench for prompts and adapters on local language models.

\b
  workbench                              open the demo, or the bench in this folder
  workbench my.bench.yaml                open a comparison on the screen
  workbench compare my.bench.yaml        the same comparison, as a table
  workbench compare my.bench.yaml --case all --json > cells.json
  workbench run queues/plain --var message="Where is my parcel?"
  workbench models                       what can answer

`workbench COMMAND --help` says more about each.

\b
Exit codes: 0 all went well; 1 a model failed to answer, some cells have an
error; 2 wrong usage, or a file that cannot be used; 130 interrupted.
"""


def run(arguments: Sequence[str], open_screen: OpenScreen) -> int:
    """Carry out a command line; the exit code."""
    try:
        command = _choose(list(arguments))
        _build(command[0] if command else "")(args=command, prog_name="workbench", obj=open_screen)
    except SystemExit as done:
        return _finish(done.code)
    except WorkbenchError as error:
        terminal.complain(error)
        return terminal.FAILED if isinstance(error, EngineError) else terminal.USAGE
    except KeyboardInterrupt:
        return terminal.INTERRUPTED
    return terminal.OK


def _choose(arguments: list[str]) -> list[str]:
    """The arguments with the command named: what is no command is a bench to open."""
    first = arguments[0] if arguments else ""
    if first in COMMANDS or first in _OWN_OPTIONS:
        return arguments
    if first and not first.startswith("-") and not Path(first).exists() and not set(first) & {"/", ".", os.sep}:
        near = get_close_matches(first, COMMANDS, 1)
        guess = f"Did you mean `workbench {near[0]}`?" if near else f"The commands are: {', '.join(COMMANDS)}."
        raise WorkbenchError(f"{first!r} is neither a command nor a file.", guess)
    return ["open", *arguments]


def _build(name: str) -> typer.Typer:
    """The one command that is wanted; all of them where the help lists them."""
    app = typer.Typer(
        help=HELP,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_describe)
    for command in [name] if name in COMMANDS else COMMANDS:
        app.command(command)(import_module(f"workbench.cli.{COMMANDS[command]}").main)
    return app


def _describe(
    version: bool = typer.Option(
        False, "--version", is_eager=True, help="Print the version.", callback=lambda on: _print_version(on)
    ),
) -> None:
    pass


def _print_version(wanted: bool) -> None:
    if wanted:
        terminal.write(f"workbench {__version__}\n")
        raise typer.Exit()


def _finish(code: object) -> int:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    return code if isinstance(code, int) else terminal.OK if code is None else terminal.FAILED
