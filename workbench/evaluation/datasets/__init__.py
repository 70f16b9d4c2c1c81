"""Datasets: files of many formats, read as cases.

`load_cases` opens one; `Cases` is what it gives.
"""

from workbench.evaluation.datasets.case import Case, overlay
from workbench.evaluation.datasets.cases import Cases, load_cases
from workbench.evaluation.datasets.preview import Preview, describe

__all__ = ["Case", "Cases", "Preview", "describe", "load_cases", "overlay"]
