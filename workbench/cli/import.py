"""`workbench import`: files of other tools become a bench."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.cli.options import Json

if TYPE_CHECKING:
    from workbench.interop.import_plan import ImportPlan


def main(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Files of other tools, for one bench together.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Where to make the bench. Default: this folder.")
    ] = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="Name of the bench. Default: as the first file.")] = "",
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="Model of every variant. Default: as the files say.")
    ] = "",
    judge: Annotated[
        str, typer.Option(metavar="MODEL", help="Model for assertions that a model grades; without it they are lost.")
    ] = "",
    strict: Annotated[
        bool, typer.Option("--strict", help="Write nothing and exit with 1 if anything is lost.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be made and lost; write nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Make a bench from files of other tools.

    Reads promptfoo configurations and tests, Dotprompt (.prompt), Prompty (.prompty, v1 and v2), templates of llm,
    conversations in OpenAI's JSON or JSONL, lm-eval tasks and Ollama Modelfiles. What cannot run here is listed.
    Nothing that a file names is executed, and no file outside its folder is read. No file is overwritten.

    \b
      workbench import promptfooconfig.yaml
      workbench import support.prompt tests.csv --model desk-q8_0
      workbench import promptfooconfig.yaml --dry-run --strict

    \b
    Exit codes: 0 made; 1 something is lost, with --strict; 2 a file cannot be read, or one is in the way.
    """
    from workbench.interop.import_plan import ImportRequest, describe_plan, write_import
    from workbench.interop.importing import plan_import
    from workbench.settings import load_settings

    plan = plan_import(ImportRequest(tuple(files), out, name, model, judge), load_settings())
    refused = strict and bool(plan.losses)
    made = () if dry_run or refused else write_import(plan)
    if json:
        _write_json(plan, made)
    else:
        for line in describe_plan(plan):
            terminal.write(f"{line}\n")
        for path in plan.paths:
            terminal.write(f"{'Made' if made else 'Would make'} {_shorten(path)}\n")
        if made:
            terminal.write(f"Next: workbench {_shorten(plan.path)}\n")
    if refused:
        terminal.log(f"workbench: nothing was written, for with --strict nothing may be lost: {plan.losses.summary()}.")
        raise typer.Exit(terminal.FAILED)


def _shorten(path: Path) -> str:
    import os

    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _write_json(plan: ImportPlan, made: tuple[Path, ...]) -> None:
    import msgspec

    found = {
        "bench": str(plan.path),
        "files": [str(path) for path in (made or plan.paths)],
        "written": bool(made),
        "read_as": plan.kinds,
        "prompts": [prompt.name for prompt in plan.prompts],
        "cases": len(plan.cases),
        "variants": [variant.name for variant in plan.bench.variants],
        "losses": plan.losses.losses,
        "totals": dict(plan.losses.totals),
        "summary": plan.losses.summary(),
        "notes": plan.notes,
    }
    terminal.write_json(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
