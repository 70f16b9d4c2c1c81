"""What a sound row looks like, table by table: views that show only sound rows, and counts of the others.

Readers query the views (`valid_cells` shows the table `cells`), so that a damaged row hides itself alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

_LATEST = 200_000_000_000  # seconds since 1970: the year 8307, which every calendar function still takes
_KEY = "typeof({0}) = 'integer'"
_COUNT = "typeof({0}) = 'integer' AND {0} BETWEEN 0 AND 1000000000000000"
_CASE = "typeof({0}) = 'integer' AND {0} BETWEEN 0 AND 1000000000"
_POSITION = "typeof({0}) = 'integer' AND {0} BETWEEN 0 AND 9999"
_FLAG = "typeof({0}) = 'integer' AND {0} IN (0, 1)"
_TEXT = "typeof({0}) = 'text'"
_NUMBER = "typeof({0}) = 'real'"
_FINITE = "typeof({0}) = 'real' AND {0} BETWEEN -1e300 AND 1e300"
_MOMENT = f"typeof({{0}}) = 'real' AND {{0}} BETWEEN 0 AND {_LATEST}"
_BYTES = "typeof({0}) = 'blob'"


def _or_null(check: str) -> str:
    return f"({{0}} IS NULL OR {check})"


def _one_of(*values: str) -> str:
    return "{0} IN (" + ", ".join(f"'{value}'" for value in values) + ")"


COLUMNS: Mapping[str, Mapping[str, str]] = {
    "runs": {
        "key": _KEY,
        **dict.fromkeys(("id", "bench", "text", "folder", "dataset", "digest", "options"), _TEXT),
        "started": _MOMENT,
        "finished": _or_null(_MOMENT),
        "state": _one_of("running", "stopped", "finished"),
        **dict.fromkeys(("cases", "total", "done", "failed", "cached", "version"), _COUNT),
        "pinned": _FLAG,
        "note": _TEXT,
        "owner": _TEXT,
        "removed": _or_null(_MOMENT),
    },
    "origins": {"key": _KEY, "digest": _BYTES, "body": _TEXT},
    "variants": {"run": _KEY, "position": _POSITION, "name": _TEXT, "origin": _or_null(_KEY)},
    "metrics": {
        "run": _KEY,
        "position": _POSITION,
        "name": _TEXT,
        **dict.fromkeys(("lower_is_better", "is_binary", "is_free"), _FLAG),
        "threshold": _or_null(_FINITE),
    },
    "inputs": {"key": _KEY, "digest": _BYTES, "body": _TEXT, "expected": _or_null(_TEXT)},
    "cases": {"run": _KEY, "number": _CASE, "input": _KEY, "line": _COUNT},
    "completions": {
        "key": _KEY,
        "digest": _or_null(_BYTES),
        "reusable": _FLAG,
        "text": _TEXT,
        "thinking": _TEXT,
        **dict.fromkeys(("prompt_tokens", "cached_tokens", "output_tokens", "thinking_tokens"), _COUNT),
        **dict.fromkeys(
            (
                "seconds_to_first_token",
                "seconds_to_first_answer_token",
                "tokens_per_second",
                "elapsed_seconds",
                "share_seconds",
            ),
            _FINITE,
        ),
        "stop_reason": _or_null(_one_of("eos", "stop", "length", "context", "cancelled", "error")),
        "deterministic": _FLAG,
        "notes": _TEXT,
        "server": _or_null(_TEXT),
    },
    "replies": {"digest": _BYTES, "body": _TEXT},
    "cells": {
        "run": _KEY,
        "number": _CASE,
        "variant": _POSITION,
        "repeat": _CASE,
        "completion": _or_null(_KEY),
        "failed": _FLAG,
        "cached": _FLAG,
        "cost": _FINITE,
        "answer": _or_null(_KEY),
        "error": _or_null(_TEXT),
        "hint": _or_null(_TEXT),
        "steps": _or_null(_TEXT),
    },
    "scores": {
        "run": _KEY,
        "number": _CASE,
        "variant": _POSITION,
        "repeat": _CASE,
        "metric": _POSITION,
        "value": _NUMBER,
        "applies": _FLAG,
        **dict.fromkeys(("extracted", "explanation", "details"), _or_null(_TEXT)),
        "unscored": _or_null(_one_of("error", "lost")),
    },
    "fingerprints": {"path": _TEXT, "size": _COUNT, "changed": _KEY, "digest": _TEXT},
    "paces": {"origin": _BYTES, "model": _TEXT, "cells": _COUNT, "seconds": _FINITE},
    "splits": {"digest": _BYTES, "body": _TEXT},
    "votes": {
        "key": _KEY,
        "run": _KEY,
        "number": _CASE,
        "repeat": _CASE,
        "left_variant": _POSITION,
        "right_variant": _POSITION,
        "choice": _one_of("left", "right", "tie"),
        "at": _MOMENT,
    },
}
"""Every table with its columns, and what each value has to be; {0} is the column."""


def typed(table: str, alias: str) -> str:
    """That every value of a row has its type and range, as SQL."""
    return " AND ".join(f"({check.format(f'{alias}.{name}')})" for name, check in COLUMNS[table].items())


def _exists(table: str, alias: str, where: str, sound: bool = False) -> str:
    more = f" AND {typed(table, alias)}" if sound else ""
    return f"EXISTS (SELECT 1 FROM main.{table} AS {alias} WHERE {where}{more})"


def _of_variant(column: str) -> str:
    return _exists("variants", "v", f"v.run = t.run AND v.position = {column}")


_LINKS: Mapping[str, str] = {
    "cases": _exists("inputs", "i", "i.key = t.input", sound=True),
    "cells": f"{_of_variant('t.variant')} AND (t.completion IS NULL OR "
    + _exists("completions", "c", "c.key = t.completion", sound=True)
    + ")",
    "scores": f"{_of_variant('t.variant')} AND " + _exists("metrics", "m", "m.run = t.run AND m.position = t.metric"),
    "votes": f"{_of_variant('t.left_variant')} AND {_of_variant('t.right_variant')}",
}
"""What a row has to find in other tables for its readers."""


def sound(table: str) -> str:
    """The condition, as SQL, that a row of a table, there called `t`, is sound."""
    links = _LINKS.get(table)
    return f"coalesce(({typed(table, 't')}){f' AND {links}' if links else ''}, 0)"


def create_views(connection: sqlite3.Connection) -> None:
    """Let a connection see the sound rows of every table, as `valid_TABLE`. Nothing is written into the file.

    `typed_TABLE` looks at a row's own values alone, which is several times faster: for choosing and sorting cases.
    """
    for table in COLUMNS:
        connection.execute(
            f"CREATE TEMP VIEW IF NOT EXISTS typed_{table} AS SELECT t.* FROM main.{table} AS t"
            f" WHERE {typed(table, 't')}"
        )
        connection.execute(
            f"CREATE TEMP VIEW IF NOT EXISTS valid_{table} AS SELECT t.* FROM main.{table} AS t WHERE {sound(table)}"
        )


def drop_views(connection: sqlite3.Connection) -> None:
    """Undo `create_views`."""
    for table in COLUMNS:
        connection.execute(f"DROP VIEW IF EXISTS temp.typed_{table}")
        connection.execute(f"DROP VIEW IF EXISTS temp.valid_{table}")


def find_missing_columns(connection: sqlite3.Connection) -> list[str]:
    """The columns, as `table.column`, that a file of the current version should have and does not."""
    found = set(
        connection.execute(
            "SELECT m.name, p.name FROM main.sqlite_master AS m, pragma_table_info(m.name) AS p WHERE m.type = 'table'"
        )
    )
    return [f"{table}.{name}" for table, names in COLUMNS.items() for name in names if (table, name) not in found]


def is_utf8(value: bytes | None) -> bool:
    """Whether bytes are well-formed UTF-8; nothing at all is."""
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return True
