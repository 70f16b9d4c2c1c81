"""The numbers of a run's cells without their texts, and how often which answer was given, for those who compute."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from workbench.store.store import Store


def read_sums(store: Store, run: int, metric: int) -> list[Any]:
    """Case, variant, sum of the values and number of repeats, of all scores of a metric that apply."""
    return store.read(
        "SELECT number, variant, sum(value), count(*) FROM valid_scores WHERE run = ? AND metric = ? AND applies"
        " GROUP BY number, variant",
        (run, metric),
    )


def read_mean_scores(store: Store, run: int) -> list[tuple[str, float]]:
    """Each variant with the mean of its scores by the run's first metric, in their order; only those that have any."""
    return store.read(
        "SELECT name, avg(value) FROM valid_scores AS s JOIN variants AS v ON v.run = s.run AND v.position = s.variant"
        " WHERE s.run = ? AND metric = 0 AND applies GROUP BY v.position, name ORDER BY v.position",
        (run,),
    )


def read_notes(store: Store, run: int) -> list[Any]:
    """Variant, notes of its answers and how many cells have them, where there are any."""
    return store.read(
        "SELECT variant, notes, count(*) FROM valid_cells JOIN completions ON completions.key = completion"
        " WHERE run = ? AND notes != '' GROUP BY variant, notes ORDER BY variant, notes",
        (run,),
    )


def count_unscored(store: Store, run: int) -> list[Any]:
    """Variant, metric (its index in the run), and how many cells with an answer have no score of it that applies."""
    return store.read(
        "SELECT cells.variant, metrics.position, count(*) FROM valid_cells AS cells"
        " JOIN valid_metrics AS metrics USING (run) LEFT JOIN valid_scores AS scores"
        " ON scores.run = cells.run AND scores.number = cells.number"
        " AND scores.variant = cells.variant AND scores.repeat = cells.repeat AND scores.metric = metrics.position"
        " WHERE cells.run = ? AND NOT failed AND NOT coalesce(applies, 0) GROUP BY 1, 2",
        (run,),
    )


def read_figures(store: Store, run: int) -> list[Any]:
    """Variant, failed, cached, seconds, prompt tokens, output tokens, tokens a second, cost of every cell, whether its
    answer was cut off, whether that was before the reasoning ended, tokens of thinking, seconds to the first token
    behind it, and whether there was any thinking."""
    cut = "coalesce(stop_reason IN ('length', 'context'), 0) AND NOT failed"
    return store.read(
        "SELECT variant, failed, cached, coalesce(elapsed_seconds, 0.0), coalesce(prompt_tokens, 0),"
        f" coalesce(output_tokens, 0), coalesce(tokens_per_second, 0.0), cost, {cut},"
        f" {cut} AND trim(text) = '' AND trim(thinking) != '', coalesce(thinking_tokens, 0),"
        " coalesce(seconds_to_first_answer_token, 0.0),"
        " coalesce(thinking_tokens > 0 OR trim(thinking) != '', 0) FROM valid_cells"
        " LEFT JOIN completions ON completions.key = completion WHERE run = ?",
        (run,),
    )


def read_cell_steps(store: Store, run: int) -> Iterator[tuple[int, str]]:
    """Variant and calls, as JSON, of every cell that makes several."""
    query = (
        "SELECT variant, steps FROM valid_cells WHERE run = ? AND steps IS NOT NULL ORDER BY number, variant, repeat"
    )
    return store.read_many(query, (run,), 1000)


class AnswerCount(NamedTuple):
    """variant: its index in the run. extracted: what was taken for the answer."""

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
    """Every answer that a right-or-wrong metric judged, by its index in the run; equal ones counted together."""
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
