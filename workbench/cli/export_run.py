"""`workbench export RUN`: the results of a run on stdout or as files."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli import terminal
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.analysis.summary import Summary
    from workbench.runs.view import RunView


def export_run(run: str, form: str, out: Path | None, json: bool, store: Path | None) -> None:
    """The results of a run, to stdout or as files."""
    from workbench.analysis.summary import summarize
    from workbench.cli.services import open_store
    from workbench.interop.run_export import write_run
    from workbench.reports.eval_samples import list_skipped
    from workbench.runs.view import RunView

    _check(form, out, json)
    with open_store(store) as opened:
        view = RunView(opened, run)
        summary = summarize(view)
        if out is None:
            _print(view, summary, form)
            return
        written = write_run(view, summary, form, out)
        skipped = list_skipped(view) if form == "eee" and len(written) > 1 else ()
    notes = [f"{name} has no samples: none of its values is right or wrong." for name in skipped]
    if json:
        import msgspec

        shown = {"written": [str(path) for path in written], "notes": notes}
        terminal.write_json(msgspec.json.format(msgspec.json.encode(shown)).decode() + "\n")
        return
    for path in written:
        terminal.write(f"Wrote {path}\n")
    for note in notes:
        terminal.log(note)


def _check(form: str, out: Path | None, json: bool) -> None:
    """Raise WorkbenchError for what cannot go where it is asked for, before anything is read."""
    if out is None and form == "parquet" and sys.stdout.isatty():
        raise WorkbenchError("Parquet is binary, and stdout is a terminal.", "Name a folder or a file with --out.")
    if out is None and json:
        raise WorkbenchError(
            "--json lists the files that were written, and none is.", "Add --out, or leave out --json."
        )


def _print(view: RunView, summary: Summary, form: str) -> None:
    """Byte for byte into a pipe, with the line ends of the format; sanitized on a terminal."""
    from workbench.interop.run_export import RUN_FORMS
    from workbench.reports.registry import print_report, report_formats

    chosen = report_formats()[RUN_FORMS[form]]
    if chosen.binary:
        chosen.write(view, summary, sys.stdout.buffer)
    elif sys.stdout.isatty() or chosen.suffix == ".json":
        text = io.StringIO(newline="")
        print_report(view, summary, chosen.suffix, text)
        (terminal.write_json if chosen.suffix == ".json" else terminal.write)(text.getvalue())
    else:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(newline="")
        print_report(view, summary, chosen.suffix, sys.stdout)
