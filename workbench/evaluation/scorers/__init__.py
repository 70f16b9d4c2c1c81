"""Scorers: judges of answers. Each gives a value, the answer it extracted, and an explanation."""

from workbench.evaluation.scorers.question import Ask, Question, Reply, Weigh
from workbench.evaluation.scorers.registry import list_scorers, make_scorers
from workbench.evaluation.scorers.scorer import Evidence, Judged, Score, Scorer

__all__ = [
    "Ask",
    "Evidence",
    "Judged",
    "Question",
    "Reply",
    "Score",
    "Scorer",
    "Weigh",
    "list_scorers",
    "make_scorers",
]
