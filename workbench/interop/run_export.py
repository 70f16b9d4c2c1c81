"""The results of a run for other programs: one file of a report format, or the folder of Every Eval Ever."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench import paths
from workbench.errors import FileError

if TYPE_CHECKING:
    from workbench.analysis.summary import Summary
    from workbench.runs.view import RunView

RUN_FORMS = {
    "csv": ".csv",
    "parquet": ".parquet",
    "junit": ".xml",
    "eee": ".eee.jsonl",
    "json": ".json",
    "markdown": ".md",
    "html": ".html",
}
"""Name of a format -> the suffix of its report."""


def write_run(view: RunView, summary: Summary, form: str, out: Path) -> list[Path]:
    """Write a run as files; never over others. out: a folder, or a file with the suffix of the format.

    Every Eval Ever in a folder is a record and the samples of each variant. Raises FileError.
    """
    from workbench.reports.eval_datastore import write_datastore
    from workbench.reports.registry import write_report

    suffix = RUN_FORMS[form]
    if out.name.lower().endswith(suffix) and not out.is_dir():
        target = out
    elif form == "eee":
        return write_datastore(view, summary, out)
    else:
        target = out / f"{_name(view)}{suffix}"
    if paths.exists(target):
        raise FileError(f"Nothing was written, since {target} exists already.", "Choose another name with --out.")
    write_report(view, summary, target)
    return [target]


def _name(view: RunView) -> str:
    return "".join(sign if sign.isalnum() or sign in "-_." else "-" for sign in f"{view.run.bench}-{view.id}")
