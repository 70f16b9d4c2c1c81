"""`workbench init`: a bench and its prompts from a data file."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.cli.options import Json
from workbench.errors import BenchError

if TYPE_CHECKING:
    from workbench.runs.new_bench import NewBench


def main(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The cases: CSV, JSONL, JSON, Parquet, a workbook, …")],
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="Name or path. Default: the first model that is found.")
    ] = "",
    task: Annotated[
        str, typer.Option(metavar="TASK", help="classify, extract, answer or text. Default: guessed from the data.")
    ] = "",
    expected: Annotated[
        str, typer.Option(metavar="COLUMN", help="Column of the expected answers. Default: one with a usual name.")
    ] = "",
    split: Annotated[str, typer.Option(metavar="SPLIT", help="Split to test on. Default: test, or validation.")] = "",
    name: Annotated[str, typer.Option(metavar="NAME", help="Name of the bench. Default: as the data file.")] = "",
    json: Json = False,
) -> None:
    """Make a bench from a file of cases.

    Guesses the kind of task and its labels, and writes prompts and a bench beside the data. Few-shot examples come from
    the training split; without one from the cases, which then lack these rows. No file is overwritten.

    \b
      workbench init reviews.csv --model desk-q8_0
      workbench init tickets.jsonl --expected queue --task classify
      workbench init data/ --split validation --name tickets

    \b
    Exit codes: 0 made; 2 the data or the model cannot be used, or a file exists already.
    """
    from workbench.runs.new_bench import BenchRequest, create_bench, plan_bench
    from workbench.runs.task_kind import TASK_KINDS
    from workbench.settings import load_settings

    kind = next((kind for kind in TASK_KINDS if kind == task), None)
    if task and kind is None:
        raise BenchError(f"No such task: {task}.", f"Expected {', '.join(TASK_KINDS)}.")
    planned = plan_bench(BenchRequest(file, model, kind, expected, split, name), load_settings())
    made = create_bench(planned)
    if json:
        _write_json(planned, made)
        return
    for line in describe(planned, made):
        terminal.write(f"{line}\n")
    shown = shlex.quote(_shorten(planned.path))
    terminal.write(f"Next: workbench {shown}   or, without the screen: workbench eval {shown}\n")


def describe(planned: NewBench, made: tuple[Path, ...]) -> list[str]:
    """What was decided and what was made, in lines."""
    scorers = ", ".join(one if isinstance(one, str) else next(iter(one)) for one in planned.bench.scorers)
    return [*planned.notes, f"Scorers: {scorers}.", *(f"Made {_shorten(path)}" for path in made)]


def _shorten(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative if not relative.startswith("-") else f"./{relative}"


def _write_json(planned: NewBench, made: tuple[Path, ...]) -> None:
    import msgspec

    found = {
        "bench": str(planned.path),
        "files": [str(path) for path in made],
        "task": planned.task.kind,
        "labels": planned.task.labels,
        "cases": planned.cases,
        "scorers": planned.bench.scorers,
        "model": planned.bench.variants[0].model,
        "notes": planned.notes,
    }
    terminal.write_json(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
