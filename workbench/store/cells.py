"""What came of each case on each variant, written in batches and read one by one.

Variants and metrics are told by their index in the run; completions are kept once, however many cells share them.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from workbench.inference.types import Completion, ServerReport
from workbench.store.cell_records import (
    NO_COMPLETION,
    CellRecord,
    FailureTally,
    InputRecord,
    ScoreRecord,
    ScorerTally,
    StoredCompletion,
)
from workbench.store.store import Store

_FIELDS = Completion.__struct_fields__
_COMPLETION = ", ".join((*_FIELDS, "share_seconds", "digest", "reusable"))
_COMPLETION_OF = ", ".join(f"completions.{name}" for name in _COMPLETION.split(", "))
_CELL = f"number, variant, repeat, failed, cached, cost, error, hint, steps, completion, {_COMPLETION_OF}"
_SCORE = "metric, value, applies, extracted, explanation, details, unscored"
_SCORES = len(_SCORE.split(","))
_ONE_CELL = "run = ? AND number = ? AND variant = ? AND repeat = ?"
_DONE = "run = ? AND variant = ?"
_WITHOUT_FAILED = " AND NOT failed"
_WITHOUT_UNSCORED = (
    " AND NOT EXISTS (SELECT 1 FROM valid_scores AS scores WHERE scores.run = cells.run"
    " AND scores.number = cells.number AND scores.variant = cells.variant AND scores.repeat = cells.repeat"
    " AND unscored IS NOT NULL)"
)
_FROM = "valid_cells AS cells LEFT JOIN completions ON completions.key = cells.completion"


class Added(NamedTuple):
    """How many more cells are done, failed and cached than before."""

    done: int
    failed: int
    cached: int


def add_cells(store: Store, run: int, cells: Sequence[CellRecord], replies: Sequence[tuple[bytes, str]] = ()) -> Added:
    """Keep finished cells, all of them or none; one that is there already is replaced.

    replies: digest and text of what models replied to the scorers' questions, for cells that ask the same.
    """
    with store.write() as connection:
        connection.executemany("INSERT OR REPLACE INTO replies VALUES (?, ?)", replies)
        done = failed = cached = 0
        known = _find_cells(connection, run, cells)
        for cell in cells:
            index = (run, cell.number, cell.variant, cell.repeat)
            old = known.get(index[1:])
            if old:
                connection.execute(f"DELETE FROM cells WHERE {_ONE_CELL}", index)
                connection.execute(f"DELETE FROM scores WHERE {_ONE_CELL}", index)
            done += old is None
            failed += cell.failed - (old[0] if old else 0)
            cached += cell.cached - (old[1] if old else 0)
            for answer in cell.answers:
                _add_completion(connection, answer)
            key = cell.stored.key or _add_completion(connection, cell.stored)
            values = (key, cell.failed, cell.cached, cell.cost, _fingerprint(cell))
            texts = (cell.error or None, cell.hint or None, cell.steps or None)
            connection.execute(
                "INSERT INTO cells VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*index, *values, *texts)
            )
        connection.executemany(
            "INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(run, cell.number, cell.variant, cell.repeat, *_values(score)) for cell in cells for score in cell.scores],
        )
        connection.execute(
            "UPDATE runs SET done = done + ?, failed = failed + ?, cached = cached + ?, version = version + 1"
            " WHERE key = ?",
            (done, failed, cached, run),
        )
    return Added(done, failed, cached)


def add_inputs(store: Store, run: int, cases: Sequence[InputRecord]) -> None:
    """Keep cases of a run, those that are there already left as they are; equal texts are kept once."""
    added = 0
    with store.write() as connection:
        for case in cases:
            digest = _digest(case.body, case.expected)
            found = connection.execute("SELECT key FROM inputs WHERE digest = ?", (digest,)).fetchone()
            key = (
                found[0]
                if found
                else connection.execute(
                    "INSERT INTO inputs (digest, body, expected) VALUES (?, ?, ?)", (digest, case.body, case.expected)
                ).lastrowid
            )
            index = (run, case.number, key, case.line)
            added += connection.execute("INSERT OR IGNORE INTO cases VALUES (?, ?, ?, ?)", index).rowcount
        connection.execute("UPDATE runs SET cases = cases + ? WHERE key = ?", (added, run))


def get_input(store: Store, run: int, number: int) -> InputRecord | None:
    """A case of a run."""
    query = (
        "SELECT body, expected, line FROM valid_cases AS cases JOIN inputs ON inputs.key = cases.input"
        " WHERE run = ? AND number = ?"
    )
    rows = store.read(query, (run, number))
    return InputRecord(number, rows[0][0], rows[0][1], rows[0][2]) if rows else None


def read_inputs(store: Store, run: int, span: tuple[int, int] | None = None) -> Iterator[InputRecord]:
    """Every case of a run, by number. span: only those from the first to the last of these numbers."""
    query = (
        "SELECT number, body, expected, line FROM valid_cases AS cases"
        " JOIN inputs ON inputs.key = cases.input WHERE run = ?"
    )
    where, values = (" AND number BETWEEN ? AND ?", (run, *span)) if span else ("", (run,))
    return (InputRecord(*row) for row in store.read_many(f"{query}{where} ORDER BY number", values))


def read_score_details(store: Store, run: int) -> Iterator[tuple[int, int, int, str]]:
    """Case, variant, metric and details of the scores that have any."""
    query = "SELECT number, variant, metric, details FROM valid_scores WHERE run = ? AND details IS NOT NULL"
    return store.read_many(f"{query} ORDER BY number, variant, repeat, metric", (run,))


def read_numbers(store: Store, run: int) -> Iterator[int]:
    """The numbers of a run's cases, in order."""
    return (
        number for (number,) in store.read_many("SELECT number FROM valid_cases WHERE run = ? ORDER BY number", (run,))
    )


def get_cell(store: Store, run: int, number: int, variant: int, repeat: int) -> CellRecord | None:
    """A finished cell with all its texts."""
    index = (run, number, variant, repeat)
    rows = store.read(f"SELECT {_CELL} FROM {_FROM} WHERE {_ONE_CELL}", index)
    if not rows:
        return None
    query = f"SELECT {_SCORE} FROM valid_scores WHERE {_ONE_CELL} ORDER BY metric"
    return _to_cell(rows[0], tuple(_to_score(row) for row in store.read(query, index)))


def read_cells(store: Store, run: int) -> Iterator[CellRecord]:
    """Every finished cell of a run, by case, variant and repeat."""
    where = "WHERE run = ? ORDER BY number, variant, repeat"
    scores = store.read_many(
        f"SELECT {_SCORE}, number, variant, repeat FROM valid_scores {where}, metric",
        (run,),
    )
    score = next(scores, None)
    for row in store.read_many(f"SELECT {_CELL} FROM {_FROM} {where}", (run,)):
        own: list[ScoreRecord] = []
        while score is not None and score[_SCORES:] <= row[:3]:
            if score[_SCORES:] == row[:3]:
                own.append(_to_score(score))
            score = next(scores, None)
        yield _to_cell(row, tuple(own))


def read_finished(store: Store, run: int, variant: int, failed: bool = True) -> Iterator[tuple[int, int]]:
    """Case and repeat of every cell of a variant that is done, its scores too; failed: those that failed as well."""
    where = _DONE + _WITHOUT_UNSCORED + ("" if failed else _WITHOUT_FAILED)
    return store.read_many(f"SELECT number, repeat FROM valid_cells AS cells WHERE {where}", (run, variant), 5000)


def count_finished(store: Store, run: int, variant: int, failed: bool = True) -> int:
    """How many there are of those that `read_places` gives."""
    where = _DONE + _WITHOUT_UNSCORED + ("" if failed else _WITHOUT_FAILED)
    return int(store.read(f"SELECT count(*) FROM valid_cells AS cells WHERE {where}", (run, variant))[0][0])


def tally_scorers(store: Store, run: int) -> tuple[ScorerTally, ...]:
    """How each metric of a run fared, by its index."""
    query = (
        "SELECT metric, count(*), sum(applies), sum(unscored = 'error'), sum(unscored = 'lost') FROM valid_scores"
        " WHERE run = ? GROUP BY metric ORDER BY metric"
    )
    why = (
        "SELECT explanation FROM valid_scores WHERE run = ? AND metric = ? AND NOT applies"
        " ORDER BY unscored IS NULL, unscored DESC, number, variant, repeat LIMIT 1"
    )
    found = []
    for metric, scores, applied, error, lost in store.read(query, (run,)):
        rows = store.read(why, (run, metric)) if applied < scores else []
        reason = str(rows[0][0] or "") if rows else ""
        found.append(ScorerTally(metric, scores, applied, error or 0, lost or 0, reason))
    return tuple(found)


def tally_failures(store: Store, run: int) -> Iterator[FailureTally]:
    """Why cells of a run failed, the most frequent reason of each variant first."""
    query = (
        "SELECT variant, error, hint, count(*), min(number) FROM valid_cells WHERE run = ? AND failed"
        " GROUP BY variant, error ORDER BY variant, count(*) DESC, min(number)"
    )
    for variant, error, hint, cells, case in store.read(query, (run,)):
        yield FailureTally(variant, error or "", hint or "", cells, case)


def has_unscored(store: Store, run: int) -> bool:
    """Whether a score of a run is missing that should be there."""
    return bool(store.read("SELECT 1 FROM valid_scores WHERE run = ? AND unscored IS NOT NULL LIMIT 1", (run,)))


def find_completions(store: Store, digests: Sequence[bytes]) -> dict[bytes, StoredCompletion]:
    """The reusable completions under these digests.

    Queries for many: with every query a thread gives Python's lock away and waits for its turn again.
    """
    whole = "is_utf8(CAST(text AS BLOB)) AND is_utf8(CAST(thinking AS BLOB))"  # a damaged one is made again
    found: dict[bytes, StoredCompletion] = {}
    for start in range(0, len(digests), 500):
        part = digests[start : start + 500]
        marks = ", ".join("?" * len(part))
        query = f"SELECT {_COMPLETION}, key FROM valid_completions WHERE digest IN ({marks}) AND reusable AND {whole}"
        found.update((one.digest, one) for one in map(_to_completion, store.read(query, part)) if one.digest)
    return found


def find_reply(store: Store, digest: bytes) -> str | None:
    """The reply to exactly this question of a scorer."""
    rows = store.read("SELECT body FROM valid_replies WHERE digest = ? AND is_utf8(CAST(body AS BLOB))", (digest,))
    return str(rows[0][0]) if rows else None


def add_replies(store: Store, replies: Sequence[tuple[bytes, str]]) -> None:
    """Keep what models replied to scorers' questions, by their digests; for replies that belong to no cell."""
    if replies:
        with store.write() as connection:
            connection.executemany("INSERT OR REPLACE INTO replies VALUES (?, ?)", replies)


def read_lengths(store: Store, digests: Sequence[bytes]) -> dict[bytes, int]:
    """The output tokens of the reusable completions under these digests."""
    found: dict[bytes, int] = {}
    for start in range(0, len(digests), 500):
        part = digests[start : start + 500]
        marks = ", ".join("?" * len(part))
        query = f"SELECT digest, output_tokens FROM valid_completions WHERE reusable AND digest IN ({marks})"
        found.update(store.read(query, part))
    return found


def _find_cells(
    connection: sqlite3.Connection, run: int, cells: Sequence[CellRecord]
) -> dict[tuple[int, int, int], tuple[int, int]]:
    """Those of the cells that are there already, by case, variant and repeat: whether they failed and were cached."""
    numbers = list({cell.number for cell in cells})
    marks = ", ".join("?" * len(numbers))
    query = f"SELECT number, variant, repeat, failed IS 1, cached IS 1 FROM cells WHERE run = ? AND number IN ({marks})"
    return {(row[0], row[1], row[2]): (row[3], row[4]) for row in connection.execute(query, (run, *numbers))}


def _add_completion(connection: sqlite3.Connection, stored: StoredCompletion) -> int | None:
    """The completion's key; an empty one needs none. Where another one is kept for the same question already, it
    stays."""
    if stored == NO_COMPLETION:
        return None
    values = [_write_field(getattr(stored.completion, name)) for name in _FIELDS]
    values += [stored.share_seconds, stored.digest, stored.reusable]
    marks = ", ".join("?" * len(values))
    insert = f"INTO completions ({_COMPLETION}) VALUES ({marks})"
    cursor = connection.execute(f"INSERT OR IGNORE {insert}", values)
    if cursor.rowcount == 0:
        cursor = connection.execute(f"INSERT {insert}", (*values[:-1], False))
    return cursor.lastrowid


def _write_field(value: Any) -> Any:
    """A tuple of sentences is kept as lines, what a server said as JSON."""
    if isinstance(value, ServerReport):
        return msgspec.json.encode(value).decode()
    return "\n".join(value) if isinstance(value, tuple) else value


def _read_field(name: str, value: Any) -> Any:
    """A field as the value's default has it: lines as a tuple, 0 and 1 as a truth value."""
    if name == "server":
        return _read_report(value)
    usual = getattr(NO_COMPLETION.completion, name)
    if isinstance(usual, tuple):
        return tuple(value.splitlines())
    return bool(value) if isinstance(usual, bool) else value


def _read_report(text: str | None) -> ServerReport | None:
    """What a server said; None where it said nothing, or that is damaged."""
    try:
        return msgspec.json.decode(text, type=ServerReport) if text else None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _to_completion(row: tuple[Any, ...]) -> StoredCompletion:
    """row: _COMPLETION and the key."""
    fields, (share, digest, reusable, key) = row[: len(_FIELDS)], row[len(_FIELDS) :]
    completion = Completion(*map(_read_field, _FIELDS, fields))
    return StoredCompletion(completion, share, digest, bool(reusable), key)


def _to_cell(row: tuple[Any, ...], scores: tuple[ScoreRecord, ...]) -> CellRecord:
    number, variant, repeat, failed, cached, cost, error, hint, steps, key = row[:10]
    stored = NO_COMPLETION if key is None else _to_completion((*row[10:], key))
    texts = (error or "", hint or "")
    return CellRecord(number, variant, repeat, stored, bool(failed), bool(cached), cost, *texts, scores, steps or "")


def _to_score(row: tuple[Any, ...]) -> ScoreRecord:
    return ScoreRecord(row[0], row[1], bool(row[2]), row[3] or "", row[4] or "", row[5] or "", row[6] or "")


def _values(score: ScoreRecord) -> tuple[Any, ...]:
    texts = (score.extracted or None, score.explanation or None, score.details or None, score.unscored or None)
    return (score.metric, score.value, score.applies, *texts)


def _fingerprint(cell: CellRecord) -> int | None:
    """A number that is the same for the same answer, white space around it aside; None for a cell that failed."""
    if cell.failed:
        return None
    return int.from_bytes(
        hashlib.blake2b(cell.stored.completion.text.strip().encode(errors="surrogatepass"), digest_size=6).digest(),
        "big",
    )


def _digest(body: str, expected: str | None) -> bytes:
    content = body if expected is None else f"{body}\0{expected}"
    return hashlib.blake2b(content.encode(errors="surrogatepass"), digest_size=16).digest()
