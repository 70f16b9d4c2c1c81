"""Scoring: what the answers of a bench are worth, by scorers of many kinds."""
