"""The typer application: the one command that is called, or for the help the names of all."""

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
  workbench reviews.csv                  make a bench from your own cases, and open it
  workbench new                          fill in a form for a new bench
  workbench init reviews.csv             make the bench and its prompts only
  workbench import promptfooconfig.yaml  make a bench from files of other tools
  workbench export my.bench.yaml --as promptfoo --out promptfoo/
  workbench compare my.bench.yaml        the same comparison, as a table
  workbench compare my.bench.yaml --case 1-5 --json > cells.json
  workbench eval my.bench.yaml           the whole dataset, with intervals and verdicts
  workbench eval --resume                resume a run that was stopped or killed
  workbench effects --variant few-shot   which examples help
  workbench optimize --variant few-shot  search for a better prompt
  workbench scale --variant tuned        at which scale an adapter does best
  workbench runs                         list runs; show, pin, export, merge or delete one
  workbench diff last~1 last             which cases were fixed, which broke
  workbench drift                        how scores changed from run to run
  workbench gate my.bench.yaml           fail a build when scores fall below a baseline
  workbench judge --model JUDGE          let a model judge the answers of a run, pairwise
  workbench votes                        ratings from blind votes, and the votes as training data
  workbench pairs --scorer judge         best and worst answers, as training data
  workbench run queues/plain --var message="Where is my parcel?"
  workbench models                       models and adapters on this machine
  workbench dataset cases.csv            how a dataset is read
  workbench synthesize cases.csv         more rows, written by a model and reviewed by you
  workbench prompts rename OLD NEW       rename a prompt in every bench of the project
  workbench history queues/plain         versions of a prompt and their scores
  workbench scorers                      scorers and their options
  workbench validate my.bench.yaml       all problems of a bench, recipe or prompt
  workbench schema bench                 JSON Schema of a bench, for your editor
  workbench convert MODEL my.gguf        convert a model or an adapter
  workbench parity MODEL my.gguf         compare how both tokenize
  workbench train my.recipe.yaml         train an adapter
  workbench sweep my.recipe.yaml         search for better hyper-parameters
  workbench adapters                     manage trained adapters
  workbench verdict my.bench.yaml        compare an adapter with the best prompt
  workbench lm-eval --model M --tasks arc_easy   tasks of EleutherAI's harness
  workbench doctor                       check this installation

`workbench COMMAND --help` shows the options of a command.

\b
Exit codes: 0 success; 1 a model failed to answer, some cells failed, or a
threshold was missed; 2 wrong usage, or a file that cannot be used; 3 too few
cases for `gate` to decide; 130 interrupted.
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
        app.command(name)(import_module(f"workbench.cli.{module_name(name)}").main)
        return app
    for command, line in COMMANDS.items():
        app.command(command, help=line)(_placeholder)
    return app


def module_name(command: str) -> str:
    """The module of `workbench.cli` that a command is in."""
    return command.replace("-", "_")


def _placeholder() -> None:
    """Stands for a command where all are listed and none is called: importing them takes longer than all the rest."""


def _print_version(wanted: bool) -> None:
    if wanted:
        terminal.write(f"workbench {__version__}\n")
        raise typer.Exit()


def _describe(
    version: bool = typer.Option(False, "--version", is_eager=True, help="Print the version.", callback=_print_version),
) -> None:
    pass
