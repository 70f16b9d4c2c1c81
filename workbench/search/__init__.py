"""Prompt optimisation: few-shot examples and instructions found by search, and tested once on a sealed part."""
