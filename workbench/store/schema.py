"""The store's tables, as the steps that lead from an empty file to them.

Knows nothing of who fills them. A step that was ever shipped is never edited: a change is a further step.
"""

from __future__ import annotations

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

MIGRATIONS: tuple[str, ...] = (_FIRST, _VOTES, _MODES, _BASES_THAT_MOVED, _NOTES, _UNSCORED)
"""Each takes the store one version further; the file's user_version counts those that were carried out."""
