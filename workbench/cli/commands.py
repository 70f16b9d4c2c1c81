"""The commands as typer sees them, and the help that stands above them all.

Knows nothing of what commands do. Only the wanted one is imported; the help lists all.
"""

from __future__ import annotations

from importlib import import_module

import typer

from workbench import __version__
from workbench.cli import terminal
from workbench.cli.app import COMMANDS

HELP = """A workbench for prompts and adapters on local language models.

\b
  workbench                              open the demo, or the bench in this folder
  workbench my.bench.yaml                open a comparison on the screen
  workbench compare my.bench.yaml        the same comparison, as a table
  workbench compare my.bench.yaml --case 1-5 --json > cells.json
  workbench eval my.bench.yaml           every case, with what the numbers say
  workbench eval --resume                go on with a run that was stopped
  workbench effects --variant few-shot   which examples earn their place
  workbench scale --variant tuned        at which strength an adapter does best
  workbench runs                         what was run; show, pin, report or delete
  workbench diff last~1 last             what was fixed, and what broke
  workbench drift                        whether a bench fell from run to run
  workbench judge --model JUDGE          let a model compare the answers of a run, two by two
  workbench votes                        what blind votes say, and the votes as training data
  workbench run queues/plain --var message="Where is my parcel?"
  workbench models                       what can answer, and what can be laid over it
  workbench dataset cases.csv            what a file of cases looks like, and how it is read
  workbench scorers                      what can judge an answer, and how it is written
  workbench convert MODEL my.gguf        a model or an adapter in another form
  workbench parity MODEL my.gguf         whether both read the same tokens
  workbench train my.recipe.yaml         tune an adapter on the same task
  workbench sweep my.recipe.yaml         the recipe with other numbers, ranked
  workbench adapters                     what was trained here, and what came of it
  workbench verdict my.bench.yaml        whether an adapter was worth it, against the best prompt

`workbench COMMAND --help` says more about each.

\b
Exit codes: 0 all went well; 1 a model failed to answer, some cells have an
error, or a threshold was missed; 2 wrong usage, or a file that cannot be used; 130 interrupted.
"""


def build(name: str) -> typer.Typer:
    """The one command that is wanted; the names of all where the help lists them."""
    app = typer.Typer(
        help=HELP,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_describe)
    if name in COMMANDS:
        app.command(name)(import_module(f"workbench.cli.{name}").main)
        return app
    for command, line in COMMANDS.items():
        app.command(command, help=line)(_be_listed)
    return app


def _be_listed() -> None:
    """Stands for a command where all are listed and none is called: importing them takes longer than all the rest."""


def _print_version(wanted: bool) -> None:
    if wanted:
        terminal.write(f"workbench {__version__}\n")
        raise typer.Exit()


def _describe(
    version: bool = typer.Option(False, "--version", is_eager=True, help="Print the version.", callback=_print_version),
) -> None:
    pass
