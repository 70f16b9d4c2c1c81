"""`workbench export`: a prompt, a bench, a chosen variant or the results of a run for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench import files
from workbench.cli import terminal
from workbench.cli.options import Json, StoreFile
from workbench.errors import BenchError, FileError

if TYPE_CHECKING:
    from workbench.interop.exported import Exported

_FORMS = "promptfoo, prompty, dotprompt, llm, openai, modelfile, llama-server, vllm, python"
_RUN_FORMS = "csv, parquet, junit, eee, json, markdown, html"


def main(
    source: Annotated[
        str, typer.Argument(metavar="BENCH | PROMPT | RUN", help="A bench file, a prompt of the library, or a run.")
    ],
    form: Annotated[str, typer.Option("--as", "--format", metavar="FORMAT", help=f"{_FORMS}; of a run {_RUN_FORMS}.")],
    variant: Annotated[
        str, typer.Option("--variant", metavar="NAME", help="Variant of the bench. Default: the only one.")
    ] = "",
    case: Annotated[int, typer.Option("--case", min=1, metavar="N", help="Case of the example request.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Where to write. Default: stdout, for one file."),
    ] = None,
    json: Json = False,
    store: StoreFile = None,
) -> None:
    """Write a prompt, a bench, a variant or a run for other tools.

    A bench becomes a promptfoo configuration with all its prompts, cases and checks. A prompt becomes Prompty,
    Dotprompt, a template of llm, or a request in OpenAI's JSON. A variant becomes an Ollama Modelfile, a script that
    starts llama-server or vLLM with an example of a request, or a Python file that renders the prompt and asks a
    server. The results of a run (its ID, `last`, `last~1`, `baseline`) become CSV or Parquet, JUnit XML, records of
    Every Eval Ever (with --out FOLDER also a line for each answer, in the layout of its datastore), or a report.
    What the format cannot hold is listed; what would make it answer otherwise is refused. No file is overwritten.

    \b
      workbench export my.bench.yaml --as promptfoo --out promptfoo/
      workbench export queues/plain --as dotprompt
      workbench export my.bench.yaml --as modelfile --variant tuned --out ollama/
      workbench export last --as csv > cells.csv
      workbench export last --as eee --out records/

    \b
    Exit codes: 0 written; 2 the format cannot hold it, or a file is in the way.
    """
    from workbench.interop.run_export import RUN_FORMS

    if form in RUN_FORMS:
        from workbench.cli.export_run import export_run

        export_run(source, form, out, json, store)
        return
    from workbench.interop.exporting import export
    from workbench.settings import load_settings

    found = export(source, form, variant, case, load_settings())
    if json:
        _write_json(found, out)
        return
    if out is None and len(found.files) > 1:
        raise BenchError(f"This makes {len(found.files)} files.", "Name a folder for them with --out.")
    if out is None:
        terminal.write_data(next(iter(found.files.values())))
    else:
        for path in write_files(found, out):
            terminal.write(f"Wrote {path}\n")
    for line in found.losses.lines():
        terminal.log(f"! {line.replace('cannot run here', 'is not in it', 1)}")
    for note in found.notes:
        terminal.log(note)


def write_files(found: Exported, folder: Path) -> list[Path]:
    """Write the files; never over others. Raises FileError."""
    targets = {folder / name: text for name, text in found.files.items()}
    taken = [path for path in targets if path.exists()]
    if taken:
        raise FileError(f"Nothing was written, since {taken[0]} exists already.", "Choose another folder with --out.")
    for path, text in targets.items():
        files.write_text(path, text, "")
    return list(targets)


def _write_json(found: Exported, out: Path | None) -> None:
    import msgspec

    shown = {
        "files": dict(found.files) if out is None else {},
        "written": [str(path) for path in write_files(found, out)] if out else [],
        "losses": found.losses.losses,
        "notes": found.notes,
    }
    terminal.write_json(msgspec.json.format(msgspec.json.encode(shown)).decode() + "\n")
