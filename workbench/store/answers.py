"""Answers, counted: how often a variant gave which answer where which one was expected.

Knows nothing of labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from workbench.store.store import Store


class AnswerCount(NamedTuple):
    """variant: its place in the run. extracted: what was taken for the answer."""

    variant: int
    expected: str
    extracted: str
    right: int
    cells: int


def count_expected(store: Store, run: int, most: int) -> int:
    """How many different expected answers a run has, counted up to `most` + 1."""
    query = (
        "SELECT count(*) FROM (SELECT DISTINCT expected FROM valid_cases JOIN inputs ON inputs.key = input"
        " WHERE run = ? AND expected IS NOT NULL LIMIT ?)"
    )
    ((count,),) = store.read(query, (run, most + 1))
    return int(count)


def tally_answers(store: Store, run: int, metric: int) -> Iterator[AnswerCount]:
    """Every answer that a right-or-wrong metric judged, by its place in the run; equal ones counted together."""
    rows = store.read_many(
        "SELECT variant, expected, coalesce(extracted, ''), value > 0.5, count(*) FROM valid_scores"
        " JOIN valid_cases USING (run, number) JOIN inputs ON inputs.key = input"
        " WHERE run = ? AND metric = ? AND applies AND expected IS NOT NULL GROUP BY 1, 2, 3, 4",
        (run, metric),
        5000,
    )
    return (AnswerCount(*row) for row in rows)


def tally_case_answers(store: Store, run: int, metric: int) -> Iterator[tuple[int, AnswerCount]]:
    """The same case by case: the case's number, and its repeats that came to the same answer."""
    rows = store.read_many(
        "SELECT number, variant, expected, coalesce(extracted, ''), value > 0.5, count(*) FROM valid_scores"
        " JOIN valid_cases USING (run, number) JOIN inputs ON inputs.key = input"
        " WHERE run = ? AND metric = ? AND applies AND expected IS NOT NULL GROUP BY 1, 2, 3, 4, 5",
        (run, metric),
        5000,
    )
    return ((number, AnswerCount(*row)) for number, *row in rows)


def has_repeats(store: Store, run: int) -> bool:
    """Whether a run asks any case more than once."""
    ((found,),) = store.read("SELECT EXISTS (SELECT 1 FROM valid_cells WHERE run = ? AND repeat > 0)", (run,))
    return bool(found)
