"""Cells: what came of each case on each variant, written in groups and read one by one.

Knows nothing of the order in which they are shown (matrix.py). Variants and metrics are told by their place in the
run; answers are kept once, however many cells share them.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from workbench.store.store import Store


class Answer(msgspec.Struct, frozen=True):
    """A completion as the store keeps it. digest: of all that determines it. kept: later cells may take it as theirs.

    share_seconds: its part of the time that all requests side by side took. key: the store's number; 0 when it is
    not there yet. reproducible: it was computed by itself.
    """

    text: str = ""
    thinking: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    first_seconds: float = 0.0
    rate: float = 0.0
    seconds: float = 0.0
    share_seconds: float = 0.0
    stop_reason: str | None = None
    digest: bytes | None = None
    kept: bool = False
    key: int = 0
    reproducible: bool = False
    notes: str = ""


class ScoreRecord(msgspec.Struct, frozen=True):
    """One judgement; metric: its place in the run's list. more: what else is known of it, in words that the store does
    not read. unscored: why it should have applied and does not: `error` or `lost`."""

    metric: int
    value: float
    applies: bool = True
    extracted: str = ""
    explanation: str = ""
    more: str = ""
    unscored: str = ""


class ScorerTally(msgspec.Struct, frozen=True):
    """How one metric of a run fared. scores: of how many cells; applied: to how many; error, lost: as in ScoreRecord.
    reason: of one of those that have no value, those that were lost first."""

    metric: int
    scores: int
    applied: int
    error: int
    lost: int
    reason: str = ""


class CellRecord(msgspec.Struct, frozen=True):
    """One finished cell; number: the case's, variant: its place in the run's list."""

    number: int
    variant: int
    repeat: int
    answer: Answer
    failed: bool = False
    cached: bool = False
    cost: float = 0.0
    error: str = ""
    hint: str = ""
    scores: tuple[ScoreRecord, ...] = ()


class InputRecord(msgspec.Struct, frozen=True):
    """One case. body: JSON of all of it but the expected answer."""

    number: int
    body: str
    expected: str | None = None
    line: int = 0


_ANSWER = (
    "text, thinking, prompt_tokens, cached_tokens, output_tokens, first_seconds, rate, seconds, share_seconds,"
    " stop_reason, reproducible, notes, digest, kept"
)
_ANSWER_OF = ", ".join(f"completions.{name.strip()}" for name in _ANSWER.split(","))
_CELL = f"number, variant, repeat, failed, cached, cost, error, hint, completion, {_ANSWER_OF}"
_SCORE = "metric, value, applies, extracted, explanation, more, unscored"
_SCORES = len(_SCORE.split(","))
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
        for cell in cells:
            place = (run, cell.number, cell.variant, cell.repeat)
            old = _remove(connection, place)
            done += old is None
            failed += cell.failed - (old[0] if old else 0)
            cached += cell.cached - (old[1] if old else 0)
            key = cell.answer.key or _add_answer(connection, cell.answer)
            values = (key, cell.failed, cell.cached, cell.cost, _fingerprint(cell), cell.error or None)
            connection.execute(
                "INSERT INTO cells VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*place, *values, cell.hint or None)
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
            place = (run, case.number, key, case.line)
            added += connection.execute("INSERT OR IGNORE INTO cases VALUES (?, ?, ?, ?)", place).rowcount
        connection.execute("UPDATE runs SET cases = cases + ? WHERE key = ?", (added, run))


def get_input(store: Store, run: int, number: int) -> InputRecord | None:
    """A case of a run."""
    query = (
        "SELECT body, expected, line FROM valid_cases AS cases JOIN inputs ON inputs.key = cases.input"
        " WHERE run = ? AND number = ?"
    )
    rows = store.read(query, (run, number))
    return InputRecord(number, rows[0][0], rows[0][1], rows[0][2]) if rows else None


def read_inputs(store: Store, run: int) -> Iterator[InputRecord]:
    """Every case of a run, by number."""
    query = (
        "SELECT number, body, expected, line FROM valid_cases AS cases"
        " JOIN inputs ON inputs.key = cases.input WHERE run = ?"
    )
    return (InputRecord(*row) for row in store.read_many(f"{query} ORDER BY number", (run,)))


def read_score_details(store: Store, run: int) -> Iterator[tuple[int, int, int, str]]:
    """Case, variant, metric and details of the scores that have any."""
    query = "SELECT number, variant, metric, more FROM valid_scores WHERE run = ? AND more IS NOT NULL"
    return store.read_many(f"{query} ORDER BY number, variant, repeat, metric", (run,))


def read_numbers(store: Store, run: int) -> Iterator[int]:
    """The numbers of a run's cases, in order."""
    return (
        number for (number,) in store.read_many("SELECT number FROM valid_cases WHERE run = ? ORDER BY number", (run,))
    )


def get_cell(store: Store, run: int, number: int, variant: int, repeat: int) -> CellRecord | None:
    """A finished cell with all its texts."""
    place = (run, number, variant, repeat)
    where = "run = ? AND number = ? AND variant = ? AND repeat = ?"
    rows = store.read(f"SELECT {_CELL} FROM {_FROM} WHERE {where}", place)
    if not rows:
        return None
    query = f"SELECT {_SCORE} FROM valid_scores WHERE {where} ORDER BY metric"
    return _to_cell(rows[0], tuple(_to_score(row) for row in store.read(query, place)))


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


def read_places(store: Store, run: int, variant: int, failed: bool = True) -> Iterator[tuple[int, int]]:
    """Case and repeat of every cell of a variant that is done, its scores too; failed: those that failed as well."""
    where = _DONE + _WITHOUT_UNSCORED + ("" if failed else _WITHOUT_FAILED)
    return store.read_many(f"SELECT number, repeat FROM valid_cells AS cells WHERE {where}", (run, variant), 5000)


def count_places(store: Store, run: int, variant: int, failed: bool = True) -> int:
    """How many there are of those that `read_places` gives."""
    where = _DONE + _WITHOUT_UNSCORED + ("" if failed else _WITHOUT_FAILED)
    return int(store.read(f"SELECT count(*) FROM valid_cells AS cells WHERE {where}", (run, variant))[0][0])


def tally_scorers(store: Store, run: int) -> tuple[ScorerTally, ...]:
    """How each metric of a run fared, by its place."""
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


def has_unscored(store: Store, run: int) -> bool:
    """Whether a score of a run is missing that should be there."""
    return bool(store.read("SELECT 1 FROM valid_scores WHERE run = ? AND unscored IS NOT NULL LIMIT 1", (run,)))


def find_answer(store: Store, digest: bytes) -> Answer | None:
    """The answer that was kept for exactly this question."""
    whole = "is_utf8(CAST(text AS BLOB)) AND is_utf8(CAST(thinking AS BLOB))"  # a damaged one is asked for again
    query = f"SELECT {_ANSWER}, key FROM valid_completions WHERE digest = ? AND kept AND {whole}"
    rows = store.read(query, (digest,))
    return _to_answer(rows[0]) if rows else None


def find_reply(store: Store, digest: bytes) -> str | None:
    """The reply to exactly this question of a scorer."""
    rows = store.read("SELECT body FROM valid_replies WHERE digest = ? AND is_utf8(CAST(body AS BLOB))", (digest,))
    return str(rows[0][0]) if rows else None


def count_answers(store: Store, questions: Sequence[tuple[bytes, int]]) -> int:
    """How many of these questions, each a digest and the most tokens, have an answer that is no longer."""
    found = 0
    for start in range(0, len(questions), 500):
        part = dict(questions[start : start + 500])
        marks = ", ".join("?" * len(part))
        query = f"SELECT digest, output_tokens FROM valid_completions WHERE kept AND digest IN ({marks})"
        lengths: dict[bytes, int] = dict(store.read(query, list(part)))
        found += sum(1 for digest, most in questions[start : start + 500] if lengths.get(digest, most + 1) <= most)
    return found


def _remove(connection: sqlite3.Connection, place: tuple[int, int, int, int]) -> tuple[int, int] | None:
    """Take a cell out; whether it had failed and was cached, None when there was none."""
    where = "WHERE run = ? AND number = ? AND variant = ? AND repeat = ?"
    old: tuple[int, int] | None = connection.execute(
        f"SELECT failed IS 1, cached IS 1 FROM cells {where}", place
    ).fetchone()
    if old:
        connection.execute(f"DELETE FROM cells {where}", place)
        connection.execute(f"DELETE FROM scores {where}", place)
    return old


def _add_answer(connection: sqlite3.Connection, answer: Answer) -> int | None:
    """The answer's key; an empty one needs none. Where another one is kept for the same question already, it stays."""
    if answer == _NONE:
        return None
    values = tuple(getattr(answer, name.strip()) for name in _ANSWER.split(","))
    marks = ", ".join("?" * len(values))
    insert = f"INTO completions ({_ANSWER}) VALUES ({marks})"
    cursor = connection.execute(f"INSERT OR IGNORE {insert}", values)
    if cursor.rowcount == 0:
        cursor = connection.execute(f"INSERT {insert}", (*values[:-1], False))
    return cursor.lastrowid


_NONE = Answer()


def _to_answer(row: tuple[Any, ...]) -> Answer:
    """row: _ANSWER and the key."""
    return Answer(*(*row[:10], row[12], bool(row[13]), row[14], bool(row[10]), row[11]))


def _to_cell(row: tuple[Any, ...], scores: tuple[ScoreRecord, ...]) -> CellRecord:
    number, variant, repeat, failed, cached, cost, error, hint, key = row[:9]
    answer = Answer() if key is None else _to_answer((*row[9:], key))
    return CellRecord(
        number, variant, repeat, answer, bool(failed), bool(cached), cost, error or "", hint or "", scores
    )


def _to_score(row: tuple[Any, ...]) -> ScoreRecord:
    return ScoreRecord(row[0], row[1], bool(row[2]), row[3] or "", row[4] or "", row[5] or "", row[6] or "")


def _values(score: ScoreRecord) -> tuple[Any, ...]:
    texts = (score.extracted or None, score.explanation or None, score.more or None, score.unscored or None)
    return (score.metric, score.value, score.applies, *texts)


def _fingerprint(cell: CellRecord) -> int | None:
    """A number that is the same for the same answer, white space around it aside; None for a cell that failed."""
    if cell.failed:
        return None
    return int.from_bytes(
        hashlib.blake2b(cell.answer.text.strip().encode(errors="surrogatepass"), digest_size=6).digest(), "big"
    )


def _digest(body: str, expected: str | None) -> bytes:
    told = body if expected is None else f"{body}\0{expected}"
    return hashlib.blake2b(told.encode(errors="surrogatepass"), digest_size=16).digest()
