"""Scorers: judges of answers. Each gives a value, the answer it extracted, and an explanation."""

from workbench.evaluation.scorers.registry import list_scorers, make_scorers
from workbench.evaluation.scorers.scorer import Score, Scorer

__all__ = ["Score", "Scorer", "list_scorers", "make_scorers"]
