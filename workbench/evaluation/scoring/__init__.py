"""Scoring: all scorers of a bench at work, the slow and the strange ones in a process of their own."""

from workbench.evaluation.scoring.scoring import Scoring

__all__ = ["Scoring"]
