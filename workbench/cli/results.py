"""The results of a run in the requested format: a table, JSON, CSV or Markdown on stdout, or files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from workbench.cli import terminal
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.analysis.summary import Summary
    from workbench.runs.view import RunView
    from workbench.store.store import Store


class Formats(NamedTuple):
    """What to print on stdout (default: a table), and which files to write."""

    json: bool = False
    csv: bool = False
    markdown: bool = False
    files: tuple[Path, ...] = ()

    def check(self) -> None:
        """Raise WorkbenchError for two formats on stdout, or a file of no known format, before anything runs."""
        if self.json + self.csv + self.markdown > 1:
            raise WorkbenchError("Only one of --json, --csv and --markdown can go to stdout.", "Pass one of them.")
        if self.files:
            from workbench.reports.registry import find_format

            for path in self.files:
                find_format(path)


def report(view: RunView, summary: Summary, formats: Formats) -> None:
    """Print and write the requested formats."""
    if formats.json or formats.csv or formats.markdown:
        _print(view, summary, ".json" if formats.json else ".csv" if formats.csv else ".md")
    else:
        from workbench.cli.summary_table import print_summary

        print_summary(summary)
    for path in formats.files:
        from workbench.reports.registry import write_report

        write_report(view, summary, path)
        terminal.log(f"Wrote {path}.")


_SHOWN_REASONS = 3


def log_failures(view: RunView, store: Store) -> None:
    """Log why cells failed: the most frequent reasons, and how many cells have each."""
    from workbench.sanitize import sanitize_line
    from workbench.store.cells import tally_failures
    from workbench.units import format_plural

    found = sorted(tally_failures(store, view.run.key), key=lambda one: -one.cells)
    for one in found[:_SHOWN_REASONS]:
        where = f"case {one.case}" if one.cells == 1 else f"{one.cells:,} cells, the first of case {one.case}"
        reason = sanitize_line(" ".join(filter(None, (one.error, one.hint))))
        terminal.log(f"  {view.variants[one.variant]}, {where}: {reason}")
    if len(found) > _SHOWN_REASONS:
        terminal.log(
            f"  and {format_plural(len(found) - _SHOWN_REASONS, 'other reason')}: workbench runs {view.id} --csv"
        )


def _print(view: RunView, summary: Summary, suffix: str) -> None:
    """A report on stdout; CSV streams into a pipe, with the line ends of the format."""
    import io
    import sys

    from workbench.reports.registry import print_report

    if suffix == ".csv" and not sys.stdout.isatty():
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(newline="")
        print_report(view, summary, suffix, sys.stdout)
        return
    text = io.StringIO(newline="")
    print_report(view, summary, suffix, text)
    (terminal.write_json if suffix == ".json" else terminal.write)(text.getvalue())
