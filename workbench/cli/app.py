"""The command line: finds the command and imports no other. The screen is passed in as a function that opens it."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli import terminal
from workbench.cli.streams import drop_output
from workbench.errors import EngineError, OutputError, StepError, WorkbenchError

if TYPE_CHECKING:
    import typer

OpenScreen = Callable[..., int]
"""takes a bench, a model, and a BenchRequest to offer; each may be None or left out"""

COMMANDS = {
    "new": "Fill in a form for a new bench, on the screen.",
    "init": "Make a bench from a file of cases.",
    "import": "Make a bench from files of other tools.",
    "export": "Write a prompt, a bench, a variant or a run for other tools.",
    "open": "Open a comparison on the screen.",
    "compare": "Run a comparison without the screen.",
    "eval": "Run every variant of a bench on its whole dataset.",
    "effects": "See which few-shot examples help.",
    "optimize": "Search for a better prompt, and test it on unseen cases.",
    "scale": "Find the scale at which an adapter does best.",
    "runs": "List the runs, show the results of one, or merge several.",
    "diff": "Show which cases a later run fixed and which it broke.",
    "drift": "See how a bench's scores changed from run to run.",
    "gate": "Hold a bench against a committed baseline, in CI.",
    "votes": "Show ratings from blind votes, or export the votes.",
    "pairs": "Make preference pairs from the scores of a run.",
    "judge": "Let models judge the answers of a run, pairwise.",
    "run": "Answer one prompt.",
    "models": "List the models and adapters of this machine and its servers.",
    "dataset": "Show how a dataset is read, before you use it.",
    "synthesize": "Write more rows for a dataset with a model.",
    "validate": "List all problems of a bench, recipe or prompt.",
    "schema": "Print the JSON Schema of a bench, a recipe or the settings.",
    "scorers": "List the scorers, with their options.",
    "prompts": "List, search, rename or delete the prompts of the library.",
    "history": "Show the versions of a prompt and what each scored.",
    "convert": "Convert a model or a LoRA adapter, and check the result.",
    "parity": "Compare how several forms of a model tokenize a conversation.",
    "train": "Train an adapter.",
    "sweep": "Search for better hyper-parameters.",
    "adapters": "Manage the adapters trained on this machine.",
    "verdict": "Compare adapters and optimized prompts with the best prompt.",
    "lm-eval": "Run tasks of lm-eval on a model, with an adapter or without.",
    "doctor": "Check this installation, and say how to fix it.",
}
"""Each with its line in the list of all, so that listing them imports none."""

_OWN_OPTIONS = ("--help", "-h", "--version")


def run(arguments: Sequence[str], open_screen: OpenScreen) -> int:
    """Carry out a command line; the exit code."""
    try:
        code = _run(arguments, open_screen)
        sys.stdout.flush()
        return code
    except OutputError as error:
        terminal.log_error(error)
        drop_output()
        return terminal.FAILED


def _run(arguments: Sequence[str], open_screen: OpenScreen) -> int:
    try:
        return _dispatch(_complete_ray(_insert_command(list(arguments))), open_screen)
    except SystemExit as done:
        return _read_code(done.code)
    except OutputError:
        raise
    except WorkbenchError as error:
        terminal.log_error(error)
        cause = error.__cause__ if isinstance(error, StepError) else error  # why a step of a chain failed
        return terminal.FAILED if isinstance(cause or error, (EngineError, StepError)) else terminal.USAGE
    except KeyboardInterrupt:
        return terminal.INTERRUPTED


def _insert_command(arguments: list[str]) -> list[str]:
    """The arguments with the command spelled out: anything else is a bench to open."""
    first = arguments[0] if arguments else ""
    if first in COMMANDS or first in _OWN_OPTIONS:
        return arguments
    if first and not first.startswith("-") and not Path(first).exists() and not set(first) & {"/", ".", os.sep}:
        near = get_close_matches(first, COMMANDS, 1)
        hint = f"Did you mean `workbench {near[0]}`?" if near else f"The commands are: {', '.join(COMMANDS)}."
        raise WorkbenchError(f"{first!r} is neither a command nor a file.", hint)
    return ["open", *arguments]


def _complete_ray(arguments: list[str]) -> list[str]:
    """The arguments with the address after each `--ray`: what follows it where that is one, else `auto`."""
    completed = []
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        completed.append(word)
        if word == "--ray" and not re.fullmatch(r"auto|(ray://)?[^/\\]+:[0-9]+", following):
            completed.append("auto")
    return completed


def _dispatch(command: list[str], open_screen: OpenScreen) -> int:
    plain = command[0] == "open" and len(command) <= 2 and not command[-1].startswith("-")
    if plain and terminal.is_interactive():  # reading the arguments in full would delay the first picture
        from workbench.cli.bench_argument import find_bench

        return open_screen(find_bench(Path(command[1])) if len(command) == 2 else None, None)
    import typer

    from workbench.cli.commands import build

    try:
        code = build(command[0])(args=command, prog_name="workbench", obj=open_screen, standalone_mode=False)
    except typer.TyperException as error:
        return _log_usage(error)
    except typer.Abort:
        return terminal.INTERRUPTED
    return code if isinstance(code, int) else terminal.OK


def _log_usage(error: typer.TyperException) -> int:
    """Log what is wrong with the arguments; sanitized, since they may be file names."""
    buffer, show = io.StringIO(), getattr(error, "show", None)  # of every kind that typer raises for an argument
    if show is not None:
        show(buffer)
    terminal.log(buffer.getvalue() or f"Error: {error.format_message()}\n", end="")
    return error.exit_code


def _read_code(code: object) -> int:
    return code if isinstance(code, int) else terminal.OK if code is None else terminal.FAILED
