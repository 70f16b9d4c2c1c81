"""The store of runs: bytes of its file, or rows, columns and tables through SQL, read as the commands read it."""

from __future__ import annotations

import contextlib
import io
import random
import sqlite3
import sys
import tempfile
from pathlib import Path

from .kinds import kind

sys.path.append(str(Path(__file__).parents[1]))  # where the fixture that writes a run lies

VALUES = (
    None,
    -1,
    0,
    7,
    2**62,
    1.5,
    1e999,
    -1e300,
    "",
    "text",
    "9" * 400,
    "[" * 5000,
    '{"a": ' * 3000,
    "{}",
    "null",
    "[1, 2]",
    '{"variables": {"message": 3}}',
    '{"number": 0, "variables": {"message": "\\\\ud800"}}',
    '{"file": 3}',
    "\x1b]52;c;UFdORUQ=\x1b\\\\",
    "[/red]",
    b"",
    b"\x00\xff\xfe",
)
"""What stands in a damaged place."""
BROKEN = ("X'EDA080'", "X'FF41'", "X'4142C3'")  # a lone surrogate, no UTF-8, a cut character: as texts


def make_seeds(folder: Path) -> list[Path]:
    """A store with two runs that have all kinds of rows, and copies of it to be damaged through SQL."""
    from stored_run import answer, make_cases, plain_variants, store_run

    from workbench.prompting.prompt import Prompt
    from workbench.scoring.scorer import Score
    from workbench.store.votes import VoteRecord, add_vote

    path = folder / "workbench.sqlite"
    cases, variants = make_cases(6), plain_variants("plain", "few-shot")
    for at in range(2):
        cells = [
            answer(one.name, case, case.expected if (case.number + at) % 2 else "Abacus", repeat)
            for one in variants
            for case in cases
            for repeat in range(2)
        ]
        cells[1] = answer("plain", cases[0], "", repeat=1, error="The engine died.")
        cells[2] = _with_details(cells[2], Score)
        view = store_run(path, variants, cases, cells, prompt=lambda one: Prompt(one.name, "user:\n{{ message }}\n"))
        for choice in ("left", "right", "tie"):
            add_vote(view.store, view.run.key, VoteRecord(0, 2, 0, 0, 1, choice, 1_795_000_100.0))
        view.store.read("PRAGMA wal_checkpoint(TRUNCATE)")
        view.store.close()
    rows = folder / "rows"
    rows.mkdir()
    (rows / "workbench.sqlite").write_bytes(path.read_bytes())
    (rows / "number").write_text("0" * 64)  # the harness changes one of the two files: this one draws the damage
    return [path, rows]


def _with_details(cell: object, score: type) -> object:
    import msgspec

    return msgspec.structs.replace(cell, scores=(score("exact_match", 1.0, "x", "y", True, "why", {"part": 0.5}),))


def damage(path: Path, draw: random.Random) -> None:
    """One to four changes through SQL: values of other kinds, rows, columns and tables that are gone."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for _ in range(draw.choice((1, 1, 2, 4)) if tables else 0):
            table = draw.choice(tables)
            with contextlib.suppress(sqlite3.Error):
                _damage_table(connection, table, draw)


def _damage_table(connection: sqlite3.Connection, table: str, draw: random.Random) -> None:
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    column = draw.choice(columns or ["key"])
    match draw.randrange(9):
        case 0:
            connection.execute(f"DROP TABLE {table}")
        case 1:
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        case 2:
            connection.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO other")
        case 3:
            connection.execute(
                f"DELETE FROM {table} WHERE rowid % 2" if draw.random() < 0.5 else f"DELETE FROM {table}"
            )
        case 4:
            _loosen(connection, table)
            connection.execute(f"UPDATE OR IGNORE {table} SET {column} = NULL")
        case 5:
            connection.execute(f"UPDATE OR IGNORE {table} SET {column} = CAST({draw.choice(BROKEN)} AS TEXT)")
        case 6:
            connection.execute(f"PRAGMA user_version = {draw.choice((-1, 0, 1, 3, 5, 99))}")
        case _:
            connection.execute(
                f"UPDATE OR IGNORE {table} SET {column} = ? {_choose_rows(draw)}", (draw.choice(VALUES),)
            )


def _choose_rows(draw: random.Random) -> str:
    return draw.choice(("", "WHERE random() % 3 = 0", "WHERE random() % 2 = 0"))


def _loosen(connection: sqlite3.Connection, table: str) -> None:
    """Take NOT NULL out of a table's schema, as another program could."""
    connection.execute(
        "UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE name = ? AND type = 'table'", (table,)
    )
    ((version,),) = connection.execute("PRAGMA schema_version").fetchall()
    connection.execute(f"PRAGMA schema_version = {version + 1}")


def read_store(path: Path) -> object:
    """What `runs`, a report in each format, a page of the matrix, votes and `diff` do with a store."""
    from workbench.store.store import Store

    store = Store(path)
    try:
        return _read_all(store, path.parent)
    finally:
        store.close()


def _read_all(store: object, folder: Path) -> list[str]:
    from workbench.cli import diff, drift, runs, votes
    from workbench.cli.results import Formats
    from workbench.store.runs import list_runs
    from workbench.tui.run_text import describe_run

    told = [
        _attempt(lambda: [describe_run(run) for run in list_runs(store)]),
        _attempt(runs._list, store, False, True),
        _attempt(runs._list, store, True, False),
    ]
    commands = [diff, votes, drift]
    for module in commands:
        module.open_store = lambda: contextlib.nullcontext(store)
    forms = (
        Formats(),
        Formats(json=True),
        Formats(csv=True, files=(folder / "a.html", folder / "a.parquet")),
        Formats(markdown=True),
    )
    for run in [one.id for one in list_runs(store)] or ["last"]:
        told += [_attempt(runs._show, store, run, one, ()) for one in forms]
        told.append(_attempt(_look, store, run))
        lists = ((False, False), (True, False), (False, True))
        told += [_attempt(votes.main, run, every, export, "", False) for every, export in lists]
    told.append(_attempt(diff.main, "last~1", "last", "", None, 5, False))
    told.append(_attempt(diff.main, "last~1", "last", "", None, 5, True))
    told.append(_attempt(drift.main, "", "", 30, False))
    return [one for one in told if one]


def _look(store: object, run: str) -> None:
    """What the screens read of a run."""
    from workbench.analysis.votes import Votes
    from workbench.runs.matrix_rows import Filter, Sort
    from workbench.runs.view import RunView

    view = RunView(store, run)
    _ = view.warnings, view.left_out, view.answers, view.metrics, view.damage()
    shows = [Filter(), Filter("failures"), Filter("errors"), Filter("different"), Filter(text="mess"), Filter(text='"')]
    sorts = [Sort(), Sort("score", view.variants[0] if view.variants else ""), Sort("disagreement", descending=True)]
    for one in shows:
        for sort in sorts:
            rows = view.rows(one, sort)
            assert len(rows) == min(view.count(one), 50)
    for row in view.rows():
        for cell in row.cells:
            view.cell(cell.variant, row.number)
    list(view.readings())
    list(view.notes())
    for metric in view.metrics:
        list(view.judgements(metric.name))
    Votes(store, view).next()


def _attempt(action: object, *given: object) -> str | None:
    """The refusal of one command; the others are still tried."""
    import typer

    from workbench.errors import WorkbenchError

    out, error = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            action(*given)
    except typer.Exit:
        return None
    except WorkbenchError as refused:
        str(refused).encode()
        return str(refused)
    return None


@kind("store", make_seeds)
def read(path: Path) -> object:
    with tempfile.TemporaryDirectory() as scratch:  # reading writes: side files, reports, what was recovered
        own = Path(scratch) / "workbench.sqlite"
        source = path / "workbench.sqlite" if path.is_dir() else path
        if source.is_file():
            own.write_bytes(source.read_bytes())
        if path.is_dir():
            number = path / "number"
            drawn = number.read_bytes() if number.is_file() else b""
            with contextlib.suppress(sqlite3.Error, UnicodeDecodeError):
                damage(own, random.Random(drawn))
        return read_store(own)
