"""The command line: finds the command that is meant and imports no other.

Knows nothing of what commands do, nor of the screen: whoever starts it hands in the way to open one.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli import terminal
from workbench.cli.streams import drop_output
from workbench.errors import EngineError, OutputError, WorkbenchError

if TYPE_CHECKING:
    import typer

OpenScreen = Callable[[Path | None, Path | None], int]

COMMANDS = {
    "open": "Open a comparison on the screen.",
    "compare": "Run a comparison without the screen.",
    "eval": "Run every variant of a bench on its whole dataset.",
    "effects": "See which few-shot examples earn their place.",
    "scale": "Find the strength at which an adapter does best.",
    "runs": "List the runs, or show one with its results.",
    "diff": "Say what a later run has fixed and what it has broken.",
    "drift": "See how a bench's scores moved from run to run.",
    "votes": "Show what blind votes say, or export them for training.",
    "judge": "Let models compare the answers of a run, two by two.",
    "run": "Answer one prompt.",
    "models": "List the models and adapters that can be seen.",
    "dataset": "Look at a dataset before it is used.",
    "scorers": "List the scorers, with their options.",
    "prompts": "List the prompts of the library.",
    "convert": "Convert a model or a LoRA adapter, and check the result.",
    "parity": "Compare how several forms of a model read the same conversation.",
    "train": "Train an adapter.",
    "sweep": "Search for better hyperparameters.",
    "adapters": "The adapters that were trained here.",
    "verdict": "Weigh an adapter against the best prompt.",
}
"""Each with the line that the list of all shows, so that none need be imported for it."""

_OWN_OPTIONS = ("--help", "-h", "--version")


def run(arguments: Sequence[str], open_screen: OpenScreen) -> int:
    """Carry out a command line; the exit code."""
    try:
        code = _run(arguments, open_screen)
        sys.stdout.flush()
        return code
    except OutputError as error:
        terminal.complain(error)
        drop_output()
        return terminal.FAILED


def _run(arguments: Sequence[str], open_screen: OpenScreen) -> int:
    try:
        return _carry_out(_choose(list(arguments)), open_screen)
    except SystemExit as done:
        return _read_code(done.code)
    except OutputError:
        raise
    except WorkbenchError as error:
        terminal.complain(error)
        return terminal.FAILED if isinstance(error, EngineError) else terminal.USAGE
    except KeyboardInterrupt:
        return terminal.INTERRUPTED


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


def _carry_out(command: list[str], open_screen: OpenScreen) -> int:
    plain = command[0] == "open" and len(command) <= 2 and not command[-1].startswith("-")
    if plain and terminal.is_there():  # reading the arguments in full would delay the first picture
        return open_screen(Path(command[1]) if len(command) == 2 else None, None)
    import typer

    from workbench.cli.commands import build

    try:
        code = build(command[0])(args=command, prog_name="workbench", obj=open_screen, standalone_mode=False)
    except typer.TyperException as error:
        return _tell_usage(error)
    except typer.Abort:
        return terminal.INTERRUPTED
    return code if isinstance(code, int) else terminal.OK


def _tell_usage(error: typer.TyperException) -> int:
    """Show what is wrong with the arguments, which may be names of files."""
    told, show = io.StringIO(), getattr(error, "show", None)  # of every kind that typer raises for an argument
    if show is not None:
        show(told)
    terminal.say(told.getvalue() or f"Error: {error.format_message()}\n", end="")
    return error.exit_code


def _read_code(code: object) -> int:
    return code if isinstance(code, int) else terminal.OK if code is None else terminal.FAILED
