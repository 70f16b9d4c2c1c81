"""Figures: the numbers of a run's cells without their texts, for those who compute with them.

Knows nothing of what they mean.
"""

from __future__ import annotations

from typing import Any

from workbench.store.store import Store


def read_sums(store: Store, run: int, metric: int) -> list[Any]:
    """Case, variant, sum of the values and number of repeats, of all scores of a metric that apply."""
    return store.read(
        "SELECT number, variant, sum(value), count(*) FROM valid_scores WHERE run = ? AND metric = ? AND applies"
        " GROUP BY number, variant",
        (run, metric),
    )


def read_notes(store: Store, run: int) -> list[Any]:
    """Variant, notes of its answers and how many cells have them, where there are any."""
    return store.read(
        "SELECT variant, notes, count(*) FROM valid_cells JOIN completions ON completions.key = completion"
        " WHERE run = ? AND notes != '' GROUP BY variant, notes ORDER BY variant, notes",
        (run,),
    )


def count_unscored(store: Store, run: int) -> list[Any]:
    """Variant, metric (its place in the run), and how many cells with an answer have no score of it that applies."""
    return store.read(
        "SELECT cells.variant, metrics.place, count(*) FROM valid_cells AS cells"
        " JOIN valid_metrics AS metrics USING (run) LEFT JOIN valid_scores AS scores"
        " ON scores.run = cells.run AND scores.number = cells.number"
        " AND scores.variant = cells.variant AND scores.repeat = cells.repeat AND scores.metric = metrics.place"
        " WHERE cells.run = ? AND NOT failed AND NOT coalesce(applies, 0) GROUP BY 1, 2",
        (run,),
    )


def read_figures(store: Store, run: int) -> list[Any]:
    """Variant, failed, cached, seconds, prompt tokens, output tokens, tokens a second, cost of every cell, whether its
    answer was cut off, and whether that was before the reasoning ended."""
    cut = "coalesce(stop_reason IN ('length', 'context'), 0) AND NOT failed"
    return store.read(
        "SELECT variant, failed, cached, coalesce(seconds, 0.0), coalesce(prompt_tokens, 0),"
        f" coalesce(output_tokens, 0), coalesce(rate, 0.0), cost, {cut},"
        f" {cut} AND trim(text) = '' AND trim(thinking) != '' FROM valid_cells"
        " LEFT JOIN completions ON completions.key = completion WHERE run = ?",
        (run,),
    )
