"""Figures: the numbers of a run's cells without their texts, for those who compute with them.

Knows nothing of what they mean.
"""

from __future__ import annotations

from typing import Any

from workbench.store.store import Store


def read_sums(store: Store, run: int, metric: int) -> list[Any]:
    """Case, variant, sum of the values and number of repeats, of all scores of a metric that apply."""
    return store.read(
        "SELECT number, variant, sum(value), count(*) FROM scores WHERE run = ? AND metric = ? AND applies"
        " GROUP BY number, variant",
        (run, metric),
    )


def read_notes(store: Store, run: int) -> list[Any]:
    """Variant, notes of its answers and how many cells have them, where there are any."""
    return store.read(
        "SELECT variant, notes, count(*) FROM cells JOIN completions ON completions.key = completion"
        " WHERE run = ? AND notes != '' GROUP BY variant, notes ORDER BY variant, notes",
        (run,),
    )


def read_figures(store: Store, run: int) -> list[Any]:
    """Variant, failed, cached, seconds, prompt tokens, output tokens, tokens a second and cost of every cell."""
    return store.read(
        "SELECT variant, failed, cached, coalesce(seconds, 0.0), coalesce(prompt_tokens, 0),"
        " coalesce(output_tokens, 0), coalesce(rate, 0.0), cost FROM cells"
        " LEFT JOIN completions ON completions.key = completion WHERE run = ?",
        (run,),
    )
