"""The old place of datasets/."""

from workbench.evaluation.datasets import Case, load_cases, overlay

__all__ = ["Case", "load_cases", "overlay"]
