"""Datasets: files of many formats, read as cases.

`load_cases` opens one, `describe` shows what it looks like, and amend.py writes a case back.
"""

from workbench.datasets.case import Case, with_inputs
from workbench.datasets.cases import Cases, load_cases
from workbench.datasets.preview import DatasetPreview, describe
from workbench.datasets.write_back import CaseEdit, add_case, change_case, copy_as_json_lines

__all__ = [
    "Case",
    "CaseEdit",
    "Cases",
    "DatasetPreview",
    "add_case",
    "change_case",
    "copy_as_json_lines",
    "describe",
    "load_cases",
    "with_inputs",
]
