"""The matrix of a run as the store sees it: which rows, in which order, and a page of them.

Variants and metrics are told by their index in the run.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from workbench.store.store import Store


class Query(msgspec.Struct, frozen=True):
    """Rows and their order; see evaluation/view.py for what each wish means.

    text: in folded case. threshold: below it a value is a failure, or above it with `lower`; None: none is.
    """

    show: Literal["all", "failures", "errors", "different"] = "all"
    metric: int = 0
    threshold: float | None = None
    lower: bool = False
    expected: str | None = None
    text: str = ""
    by: Literal["case", "score", "disagreement"] = "case"
    variant: int = 0
    sort_metric: int = 0
    descending: bool = False

    @property
    def plain(self) -> bool:
        """Whether it goes by the cases alone, whatever came of them."""
        return self.show == "all" and self.by == "case" and not self.text


class CellLine(NamedTuple):
    """A cell of a page. text: the beginning of its answer."""

    number: int
    variant: int
    repeat: int
    failed: int
    cached: int
    error: str | None
    text: str | None


class CaseLine(NamedTuple):
    """A case of a page."""

    number: int
    body: str
    expected: str | None


def order_rows(store: Store, run: int, query: Query) -> array[int]:
    """The numbers of the cases that a query asks for, in its order."""
    conditions, values = _choose(run, query)
    ranks, ranked = _rank(run, query)
    direction = "DESC" if query.descending else "ASC"
    order = f"rank.value IS NULL, rank.value {direction}, number" if ranks else f"number {direction}"
    statement = f"SELECT number FROM valid_cases {ranks} WHERE {conditions} ORDER BY {order}"
    return array("q", (number for (number,) in store.read_many(statement, (*ranked, *values), 10_000)))


def read_page(
    store: Store, run: int, numbers: Sequence[int], longest: int
) -> tuple[list[CaseLine], list[CellLine], list[tuple[int, int, int, float]]]:
    """What is known of some cases: the cases, their cells, and (case, variant, metric, mean value) of their scores.

    longest: characters of an answer.
    """
    marks = ", ".join("?" * len(numbers))
    where = f"run = ? AND number IN ({marks})"
    values = (run, *numbers)
    cases = store.read(
        f"SELECT number, body, expected FROM valid_cases JOIN inputs ON inputs.key = input WHERE {where}", values
    )
    cells = store.read(
        f"SELECT number, variant, repeat, failed, cached, error, substr(completions.text, 1, {longest})"
        f" FROM valid_cells LEFT JOIN completions ON completions.key = completion WHERE {where}",
        values,
    )
    scores = store.read(
        "SELECT number, variant, metric, avg(value) FROM valid_scores"
        f" WHERE {where} AND applies GROUP BY number, variant, metric",
        values,
    )
    return [CaseLine(*row) for row in cases], [CellLine(*row) for row in cells], scores


def list_expected(store: Store, run: int, most: int) -> list[str]:
    """The different expected answers of a run, the most frequent first."""
    query = (
        "SELECT expected FROM valid_cases JOIN inputs ON inputs.key = input WHERE run = ? AND expected IS NOT NULL"
        " GROUP BY expected ORDER BY count(*) DESC, expected LIMIT ?"
    )
    return [expected for (expected,) in store.read(query, (run, most))]


def read_values(store: Store, run: int, metric: int) -> Iterator[tuple[int, int, int, float]]:
    """Case, variant, repeat and value of every score of a metric that applies."""
    return store.read_many(
        "SELECT number, variant, repeat, value FROM valid_scores WHERE run = ? AND metric = ? AND applies"
        " ORDER BY number, variant, repeat",
        (run, metric),
        5000,
    )


def read_numbers(store: Store, run: int) -> Iterator[tuple[Any, ...]]:
    """Case, variant, repeat, failed, cached, prompt and output tokens, seconds to the first token, tokens a second,
    seconds in all and cost of every finished cell."""
    return store.read_many(
        "SELECT number, variant, repeat, failed, cached, coalesce(prompt_tokens, 0), coalesce(output_tokens, 0),"
        " coalesce(seconds_to_first_token, 0.0), coalesce(tokens_per_second, 0.0), coalesce(elapsed_seconds, 0.0), cost"
        " FROM valid_cells"
        " LEFT JOIN completions ON completions.key = completion WHERE run = ? ORDER BY number, variant, repeat",
        (run,),
        5000,
    )


def _choose(run: int, query: Query) -> tuple[str, list[Any]]:
    conditions = ["run = ?"]
    values: list[Any] = [run]
    if query.show == "different":
        conditions.append(
            "number IN (SELECT number FROM typed_cells WHERE run = ? GROUP BY number HAVING count(DISTINCT answer) > 1)"
        )
        values.append(run)
    elif query.show != "all":
        wrong, own = _find_failures(run, query)
        conditions.append(f"number IN ({wrong})")
        values += own
    if query.expected is not None:
        conditions.append("input IN (SELECT key FROM inputs WHERE expected = ?)")
        values.append(query.expected)
    if query.text:
        conditions.append(
            "(input IN (SELECT key FROM inputs WHERE holds_inside(CAST(body AS BLOB), ?)"
            " OR holds(CAST(expected AS BLOB), ?))"
            " OR number IN (SELECT number FROM typed_cells JOIN completions ON completions.key = completion"
            " WHERE run = ? AND holds(CAST(text AS BLOB), ?)))"
        )
        values += [query.text, query.text, run, query.text]
    return " AND ".join(conditions), values


def _find_failures(run: int, query: Query) -> tuple[str, list[Any]]:
    failed = "SELECT number FROM typed_cells WHERE run = ? AND failed"
    if query.show == "errors" or query.threshold is None:
        return failed, [run]
    sign = ">" if query.lower else "<"
    wrong = f"SELECT number FROM typed_scores WHERE run = ? AND metric = ? AND applies AND value {sign} ?"
    return f"{failed} UNION {wrong}", [run, run, query.metric, query.threshold]


def _rank(run: int, query: Query) -> tuple[str, list[Any]]:
    """A join that gives each case a value to sort by; nothing where the case's number does."""
    if query.by == "case":
        return "", []
    if query.by == "score":
        inner = (
            "SELECT number, avg(value) AS value FROM typed_scores"
            " WHERE run = ? AND metric = ? AND variant = ? AND applies"
        )
        own: list[Any] = [run, query.sort_metric, query.variant]
    else:
        inner = (
            "SELECT number, max(value) - min(value) AS value FROM typed_scores WHERE run = ? AND metric = ? AND applies"
        )
        own = [run, query.sort_metric]
    return f"LEFT JOIN ({inner} GROUP BY number) AS rank USING (number)", own
