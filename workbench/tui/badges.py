"""Badges: the scores of an answer, each as a sign and a value."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content

from workbench.scoring.scorer import Score


def make_badge(score: Score) -> Content:
    """Sign and value of a score, such as `✓ 1.00`."""
    sign, colour = ("✓", "$text-success") if score.value >= 1 else ("✗", "$text-error")
    if score.scale != "unit":
        sign, colour = "•", "$foreground"  # no share of what could be had: a length, a time
    elif 0 < score.value < 1:
        sign, colour = "◐", "$text-warning"
    return Content.assemble((f"{sign} {score.value:.2f}", colour))


def make_first_badge(scores: Iterable[Score]) -> Content:
    """That of the first score that applies; empty without one."""
    return next((make_badge(score) for score in scores if score.applies), Content(""))


def list_badges(scores: Iterable[Score], awaited: Iterable[str]) -> list[Content]:
    """Every score that applies, with its scorer; while there are none yet, room for the awaited ones: nothing jumps."""
    applied = [score for score in scores if score.applies]
    if applied:
        return [Content.assemble(make_badge(one), " ", show_dim(one.scorer.replace("_", " "))) for one in applied]
    return [show_dim(f"· ···· {name.replace('_', ' ')}") for name in awaited]


def show_dim(text: str) -> Content:
    """A text that steps back behind the others."""
    return Content.assemble((text, "$foreground 60%"))
