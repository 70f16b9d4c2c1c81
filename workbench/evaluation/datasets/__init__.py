"""Datasets: files of many formats, read as cases.

`load_cases` opens one, `describe` shows what it looks like, and amend.py writes a case back.
"""

from workbench.evaluation.datasets.amend import Amendment, add_case, change_case, copy_as_json_lines
from workbench.evaluation.datasets.case import Case, overlay
from workbench.evaluation.datasets.cases import Cases, load_cases
from workbench.evaluation.datasets.preview import Preview, describe

__all__ = [
    "Amendment",
    "Case",
    "Cases",
    "Preview",
    "add_case",
    "change_case",
    "copy_as_json_lines",
    "describe",
    "load_cases",
    "overlay",
]
