"""The store's tables, as the steps that lead from an empty file to them.

A step that was ever shipped is never edited: a change is a further step.
"""

from __future__ import annotations

import re

_FIRST = """
CREATE TABLE runs (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    bench TEXT NOT NULL,
    text TEXT NOT NULL,
    folder TEXT NOT NULL,
    dataset TEXT NOT NULL,
    digest TEXT NOT NULL,
    options TEXT NOT NULL,
    started REAL NOT NULL,
    finished REAL,
    state TEXT NOT NULL,
    cases INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL DEFAULT 0,
    done INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    cached INTEGER NOT NULL DEFAULT 0,
    version INTEGER NOT NULL DEFAULT 0,
    pinned INTEGER NOT NULL DEFAULT 0,
    note TEXT NOT NULL DEFAULT '',
    owner TEXT NOT NULL DEFAULT '',
    removed REAL
);
CREATE TABLE origins (key INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, body TEXT NOT NULL);
CREATE TABLE variants (
    run INTEGER NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL, origin INTEGER,
    PRIMARY KEY (run, place)
) WITHOUT ROWID;
CREATE TABLE metrics (
    run INTEGER NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL,
    lower_is_better INTEGER NOT NULL, is_binary INTEGER NOT NULL, is_free INTEGER NOT NULL, threshold REAL,
    PRIMARY KEY (run, place)
) WITHOUT ROWID;
CREATE TABLE inputs (
    key INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, body TEXT NOT NULL, expected TEXT
);
CREATE TABLE cases (
    run INTEGER NOT NULL, number INTEGER NOT NULL, input INTEGER NOT NULL, line INTEGER NOT NULL,
    PRIMARY KEY (run, number)
) WITHOUT ROWID;
CREATE TABLE completions (
    key INTEGER PRIMARY KEY,
    digest BLOB,
    kept INTEGER NOT NULL,
    text TEXT NOT NULL,
    thinking TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    first_seconds REAL NOT NULL,
    rate REAL NOT NULL,
    seconds REAL NOT NULL,
    share_seconds REAL NOT NULL,
    stop_reason TEXT
);
CREATE UNIQUE INDEX known_completions ON completions (digest) WHERE kept;
CREATE TABLE replies (digest BLOB PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE cells (
    run INTEGER NOT NULL, number INTEGER NOT NULL, variant INTEGER NOT NULL, repeat INTEGER NOT NULL,
    completion INTEGER,
    failed INTEGER NOT NULL,
    cached INTEGER NOT NULL,
    cost REAL NOT NULL,
    answer INTEGER,
    error TEXT, hint TEXT,
    PRIMARY KEY (run, number, variant, repeat)
) WITHOUT ROWID;
CREATE TABLE scores (
    run INTEGER NOT NULL, number INTEGER NOT NULL, variant INTEGER NOT NULL, repeat INTEGER NOT NULL,
    metric INTEGER NOT NULL,
    value REAL NOT NULL, applies INTEGER NOT NULL, extracted TEXT, explanation TEXT, more TEXT,
    PRIMARY KEY (run, number, variant, repeat, metric)
) WITHOUT ROWID;
CREATE TABLE fingerprints (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, changed INTEGER NOT NULL, digest TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE paces (
    origin BLOB PRIMARY KEY, model TEXT NOT NULL, cells INTEGER NOT NULL, seconds REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX model_paces ON paces (model);
"""

_VOTES = """
CREATE TABLE votes (
    key INTEGER PRIMARY KEY,
    run INTEGER NOT NULL, number INTEGER NOT NULL, repeat INTEGER NOT NULL,
    left_variant INTEGER NOT NULL, right_variant INTEGER NOT NULL,
    choice TEXT NOT NULL,
    at REAL NOT NULL
);
CREATE INDEX run_votes ON votes (run);
"""

_MODES = "ALTER TABLE completions ADD COLUMN reproducible INTEGER NOT NULL DEFAULT 0;"

_BASES_THAT_MOVED = """
UPDATE completions SET kept = 0 WHERE kept AND key NOT IN (
    SELECT cells.completion FROM cells
    JOIN variants ON variants.run = cells.run AND variants.place = cells.variant
    JOIN origins ON origins.key = variants.origin
    WHERE cells.completion IS NOT NULL AND CASE WHEN json_valid(origins.body)
        THEN json_extract(origins.body, '$.model.model.format') END IN ('gguf', 'scripted')
);
DELETE FROM replies;
"""
"""An adapter on the transformers engine could change the base that it was laid over, and with it the answers of others
in the same process: none that a Hugging Face model gave until then may be taken for known. Of replies to scorers'
questions the model is not written down."""

_NOTES = "ALTER TABLE completions ADD COLUMN notes TEXT NOT NULL DEFAULT '';"

_UNSCORED = """
ALTER TABLE scores ADD COLUMN unscored TEXT;
UPDATE scores SET unscored = 'lost' WHERE NOT applies AND explanation LIKE 'It brought its process down%';
UPDATE scores SET unscored = 'error' WHERE NOT applies AND (explanation LIKE 'The scorer failed: %'
    OR explanation LIKE 'It took more than % on this answer and was stopped.'
    OR explanation LIKE 'It ended badly % times in a row%');
"""

_THINKING = """
ALTER TABLE completions ADD COLUMN thinking_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE completions ADD COLUMN first_answer_seconds REAL NOT NULL DEFAULT 0.0;
UPDATE completions SET first_answer_seconds = first_seconds WHERE thinking = '';
"""
"""Of earlier answers with reasoning nobody knows when it ended."""

_FIELD_NAMES = """
ALTER TABLE completions RENAME COLUMN kept TO reusable;
ALTER TABLE completions RENAME COLUMN first_seconds TO seconds_to_first_token;
ALTER TABLE completions RENAME COLUMN first_answer_seconds TO seconds_to_first_answer_token;
ALTER TABLE completions RENAME COLUMN rate TO tokens_per_second;
ALTER TABLE completions RENAME COLUMN seconds TO elapsed_seconds;
ALTER TABLE completions RENAME COLUMN reproducible TO deterministic;
ALTER TABLE scores RENAME COLUMN more TO details;
ALTER TABLE variants RENAME COLUMN place TO position;
ALTER TABLE metrics RENAME COLUMN place TO position;
"""
"""The columns of a completion are named as the fields of `Completion`, which are read and written by these names."""

UPGRADED_TEXTS = """
UPDATE origins SET body = json_remove(json_set(body, '$.variant.deterministic', json('true')), '$.variant.reproducible')
    WHERE CASE WHEN json_valid(body) THEN json_extract(body, '$.variant.reproducible') END;
UPDATE origins SET body = json_remove(
        json_set(body, '$.prompt.unsupported', json_extract(body, '$.prompt.unused')), '$.prompt.unused')
    WHERE CASE WHEN json_valid(body) THEN json_extract(body, '$.prompt.unused') END IS NOT NULL;
UPDATE replies SET body = json_remove(body, '$.completion.reproducible')
    WHERE CASE WHEN json_valid(body) THEN json_extract(body, '$.completion.reproducible') END IS NOT NULL;
UPDATE runs SET options = json_remove(
        json_set(options, '$.concurrency', json_extract(options, '$.at_once')), '$.at_once')
    WHERE CASE WHEN json_valid(options) THEN json_extract(options, '$.at_once') END IS NOT NULL;
"""
"""The same for what is kept as JSON; it may be carried out again."""

_SERVERS = "ALTER TABLE completions ADD COLUMN server TEXT;"
"""JSON of a ServerReport; NULL for an answer of an engine on this machine."""

_CELL_STEPS = "ALTER TABLE cells ADD COLUMN steps TEXT;"
"""JSON of the calls of a cell that makes several; NULL for one that makes one. In the cell's row, as the text of all
tables has to stay short."""

_SPLITS = """
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(replace(sql, char(10), ' '), ', ', ',');
PRAGMA writable_schema = OFF;
CREATE TABLE splits (digest BLOB PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
"""
"""How datasets were divided for prompt searches. The text of the other tables loses its white space, for the first page
has no room left."""

_STEPS = (
    _FIRST,
    _VOTES,
    _MODES,
    _BASES_THAT_MOVED,
    _NOTES,
    _UNSCORED,
    _THINKING,
    _FIELD_NAMES + UPGRADED_TEXTS,
    _SERVERS,
    _CELL_STEPS,
    _SPLITS,
)

MIGRATIONS: tuple[str, ...] = tuple(re.sub(r"\n +", "\n", step) for step in _STEPS)
"""Each takes the store one version further; the file's user_version counts those that were carried out.

Without their indentation, which SQLite would keep: the text of all tables has to stay within the file's first page of
4,096 bytes, of which recovery.py knows how to make a new one.
"""
