"""The results of a run, in the form that was asked for: a table, JSON, CSV, Markdown, or a file.

Knows nothing of how a run is carried out, nor of how its numbers are worked out (evaluation/summary.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from workbench.cli import terminal
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.evaluation.summary import Summary
    from workbench.evaluation.view import RunView


class Formats(NamedTuple):
    """What to print on stdout (a table when nothing at all is chosen), and which files to write."""

    json: bool = False
    csv: bool = False
    markdown: bool = False
    html: Path | None = None
    parquet: Path | None = None

    def check(self) -> None:
        """Raise WorkbenchError for two forms that would get into each other's way."""
        if self.json + self.csv + self.markdown > 1:
            raise WorkbenchError("Only one of --json, --csv and --markdown can go to stdout.", "Choose one of them.")


def report(view: RunView, summary: Summary, formats: Formats) -> None:
    """Print and write what was asked for."""
    if formats.json:
        from workbench.evaluation.reports.json import render_json

        terminal.write_json(render_json(summary))
    elif formats.markdown:
        from workbench.evaluation.reports.markdown import render_markdown

        terminal.write(render_markdown(summary))
    elif formats.csv:
        _print_cells(view)
    else:
        from workbench.cli.summary_table import print_summary

        print_summary(summary)
    _write_files(view, summary, formats)


def _print_cells(view: RunView) -> None:
    """Every cell on stdout; in a pipe with the line ends of the format."""
    import io
    import sys

    from workbench.evaluation.reports.csv import write_csv

    if sys.stdout.isatty():
        text = io.StringIO(newline="")
        write_csv(view, text)
        terminal.write(text.getvalue())
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(newline="")
    write_csv(view, sys.stdout)


def _write_files(view: RunView, summary: Summary, formats: Formats) -> None:
    if formats.html:
        from workbench.evaluation.reports.html import write_html

        write_html(view, summary, formats.html)
        terminal.say(f"Wrote {formats.html}.")
    if formats.parquet:
        from workbench.evaluation.reports.parquet import write_parquet

        write_parquet(view, formats.parquet)
        terminal.say(f"Wrote {formats.parquet}.")
