"""Datasets: files of many formats, read as cases.

`load_cases` opens one.
"""

from workbench.evaluation.datasets.case import Case, overlay
from workbench.evaluation.datasets.cases import load_cases

__all__ = ["Case", "load_cases", "overlay"]
