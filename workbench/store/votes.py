"""Votes: which of two answers to a case a person preferred."""

from __future__ import annotations

from typing import NamedTuple

from workbench.store.store import Store

_COLUMNS = "key, number, repeat, left_variant, right_variant, choice, at"


class VoteRecord(NamedTuple):
    """One vote. left, right: places of the variants in the run. at: seconds since 1970."""

    key: int
    number: int
    repeat: int
    left: int
    right: int
    choice: str
    at: float


def add_vote(store: Store, run: int, vote: VoteRecord) -> int:
    """Keep a vote; its key. What the record says of its key is ignored."""
    with store.write() as connection:
        key = connection.execute(
            "INSERT INTO votes (run, number, repeat, left_variant, right_variant, choice, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (run, *vote[1:]),
        ).lastrowid
    assert key is not None
    return key


def read_votes(store: Store, run: int) -> list[VoteRecord]:
    """A run's votes, in the order they were cast."""
    return [
        VoteRecord(*row) for row in store.read(f"SELECT {_COLUMNS} FROM valid_votes WHERE run = ? ORDER BY key", (run,))
    ]


def delete_last_vote(store: Store, run: int) -> VoteRecord | None:
    """Forget the last vote of a run; what it was, None when there is none."""
    with store.write() as connection:
        query = f"SELECT {_COLUMNS} FROM valid_votes WHERE run = ? ORDER BY key DESC LIMIT 1"
        row = connection.execute(query, (run,)).fetchone()
        if row is None:
            return None
        connection.execute("DELETE FROM votes WHERE key = ?", (row[0],))
    return VoteRecord(*row)


def read_differing(store: Store, run: int, left: int, right: int) -> list[tuple[int, int]]:
    """Case and repeat of every pair of answers of two variants that differ and were not voted on yet."""
    pairs: list[tuple[int, int]] = store.read(
        "SELECT one.number, one.repeat FROM valid_cells AS one JOIN valid_cells AS other USING (run, number, repeat)"
        " WHERE run = ? AND one.variant = ? AND other.variant = ? AND one.answer != other.answer AND NOT EXISTS"
        " (SELECT 1 FROM votes WHERE votes.run = one.run AND votes.number = one.number AND votes.repeat = one.repeat"
        " AND min(left_variant, right_variant) = ? AND max(left_variant, right_variant) = ?)",
        (run, left, right, min(left, right), max(left, right)),
    )
    return pairs
