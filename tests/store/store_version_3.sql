BEGIN TRANSACTION;
CREATE TABLE cases (
    run INTEGER NOT NULL, number INTEGER NOT NULL, input INTEGER NOT NULL, line INTEGER NOT NULL,
    PRIMARY KEY (run, number)
) WITHOUT ROWID;
INSERT INTO "cases" VALUES(1,1,1,1);
INSERT INTO "cases" VALUES(1,2,2,2);
INSERT INTO "cases" VALUES(1,3,3,3);
INSERT INTO "cases" VALUES(1,4,4,4);
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
INSERT INTO "cells" VALUES(1,1,0,0,1,0,0,0.0,240396085124584,NULL,NULL);
INSERT INTO "cells" VALUES(1,1,1,0,5,0,0,0.0,240396085124584,NULL,NULL);
INSERT INTO "cells" VALUES(1,2,0,0,2,1,0,0.0,NULL,'The engine died.',NULL);
INSERT INTO "cells" VALUES(1,2,1,0,6,0,0,0.0,52680665113077,NULL,NULL);
INSERT INTO "cells" VALUES(1,3,0,0,3,0,0,0.0,52680665113077,NULL,NULL);
INSERT INTO "cells" VALUES(1,3,1,0,7,0,0,0.0,239969253487129,NULL,NULL);
INSERT INTO "cells" VALUES(1,4,0,0,4,0,1,0.0,110846510347754,NULL,NULL);
INSERT INTO "cells" VALUES(1,4,1,0,8,0,1,0.0,52680665113077,NULL,NULL);
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
, reproducible INTEGER NOT NULL DEFAULT 0);
INSERT INTO "completions" VALUES(1,NULL,0,'Lantern','',50,0,2,0.1,40.0,0.2,0.2,'eos',0);
INSERT INTO "completions" VALUES(2,NULL,0,'','',50,0,2,0.1,40.0,0.2,0.2,'eos',0);
INSERT INTO "completions" VALUES(3,NULL,0,'Abacus','',50,0,2,0.1,40.0,0.2,0.2,'eos',0);
INSERT INTO "completions" VALUES(4,NULL,0,'Thicket','',50,0,2,0.1,40.0,0.2,0.2,'eos',0);
INSERT INTO "completions" VALUES(5,NULL,0,'Lantern','',50,0,2,0.1,40.0,0.2,0.2,'eos',0);
INSERT INTO "completions" VALUES(6,NULL,0,'Abacus','',50,0,2,0.1,40.0,0.2,0.2,'eos',0);
INSERT INTO "completions" VALUES(7,NULL,0,'Harbour','',50,0,2,0.1,40.0,0.2,0.2,'eos',0);
INSERT INTO "completions" VALUES(8,NULL,0,'Abacus','',50,0,2,0.1,40.0,0.2,0.2,'eos',0);
CREATE TABLE fingerprints (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, changed INTEGER NOT NULL, digest TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE inputs (
    key INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, body TEXT NOT NULL, expected TEXT
);
INSERT INTO "inputs" VALUES(1,X'0B2EF5B4EADC296C9DAA7D27E7B59BB1','{"number":0,"variables":{"message":"message 1"},"expected":null,"line":0,"also":[]}','Lantern');
INSERT INTO "inputs" VALUES(2,X'5D09B62781EC74D2F94B60563D202B68','{"number":0,"variables":{"message":"message 2"},"expected":null,"line":0,"also":[]}','Abacus');
INSERT INTO "inputs" VALUES(3,X'4B2CA317D9A48E25CA22E9B887654F34','{"number":0,"variables":{"message":"message 3"},"expected":null,"line":0,"also":[]}','Harbour');
INSERT INTO "inputs" VALUES(4,X'AAB25A98268E9F7843706BB36AE8C93A','{"number":0,"variables":{"message":"message 4"},"expected":null,"line":0,"also":[]}','Thicket');
CREATE TABLE metrics (
    run INTEGER NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL,
    lower_is_better INTEGER NOT NULL, is_binary INTEGER NOT NULL, is_free INTEGER NOT NULL, threshold REAL,
    PRIMARY KEY (run, place)
) WITHOUT ROWID;
INSERT INTO "metrics" VALUES(1,0,'exact_match',0,1,0,1.0);
CREATE TABLE origins (key INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, body TEXT NOT NULL);
INSERT INTO "origins" VALUES(1,X'CA1B67CB80324ECABDF4031953F2C2ED','{"variant":{"name":"plain","prompt":"queues/plain","model":"desk"},"prompt":{"name":"desk","body":"user:\n{{ message }}\n","description":"","defaults":{},"placement":"none","mode":"chat","examples":[]},"model":{"model":{"name":"desk","path":"/models/desk.gguf","format":"gguf","chat_template":null,"context_tokens":null,"dtype":"","quantization":""},"fingerprint":"0000000000000000"}}');
INSERT INTO "origins" VALUES(2,X'557B72529B6D9A91AB3ACBFA1E29F687','{"variant":{"name":"few-shot","prompt":"queues/few-shot","model":"desk"},"prompt":{"name":"desk","body":"user:\n{{ message }}\n","description":"","defaults":{},"placement":"none","mode":"chat","examples":[]},"model":{"model":{"name":"desk","path":"/models/desk.gguf","format":"gguf","chat_template":null,"context_tokens":null,"dtype":"","quantization":""},"fingerprint":"0000000000000000"}}');
CREATE TABLE paces (
    origin BLOB PRIMARY KEY, model TEXT NOT NULL, cells INTEGER NOT NULL, seconds REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE replies (digest BLOB PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
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
INSERT INTO "runs" VALUES(1,'1i5074','demo','variants:
  - name: plain
    prompt: queues/plain
    model: desk
  - name: few-shot
    prompt: queues/few-shot
    model: desk
scorers:
  - exact_match
','/bench','','','{}',1795000000.0,NULL,'running',4,0,8,1,2,1,0,'','',NULL);
CREATE TABLE scores (
    run INTEGER NOT NULL, number INTEGER NOT NULL, variant INTEGER NOT NULL, repeat INTEGER NOT NULL,
    metric INTEGER NOT NULL,
    value REAL NOT NULL, applies INTEGER NOT NULL, extracted TEXT, explanation TEXT, more TEXT,
    PRIMARY KEY (run, number, variant, repeat, metric)
) WITHOUT ROWID;
INSERT INTO "scores" VALUES(1,1,0,0,0,0.0,0,NULL,'It brought its process down: SIGKILL.',NULL);
INSERT INTO "scores" VALUES(1,1,1,0,0,1.0,1,'Lantern','The same.',NULL);
INSERT INTO "scores" VALUES(1,2,1,0,0,1.0,1,'Abacus','The same.',NULL);
INSERT INTO "scores" VALUES(1,3,0,0,0,0.0,1,'Abacus','Expected ''Harbour'', got ''Abacus''.',NULL);
INSERT INTO "scores" VALUES(1,3,1,0,0,1.0,1,'Harbour','The same.',NULL);
INSERT INTO "scores" VALUES(1,4,0,0,0,1.0,1,'Thicket','The same.',NULL);
INSERT INTO "scores" VALUES(1,4,1,0,0,0.0,1,'Abacus','Expected ''Thicket'', got ''Abacus''.',NULL);
CREATE TABLE variants (
    run INTEGER NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL, origin INTEGER,
    PRIMARY KEY (run, place)
) WITHOUT ROWID;
INSERT INTO "variants" VALUES(1,0,'plain',1);
INSERT INTO "variants" VALUES(1,1,'few-shot',2);
CREATE TABLE votes (
    key INTEGER PRIMARY KEY,
    run INTEGER NOT NULL, number INTEGER NOT NULL, repeat INTEGER NOT NULL,
    left_variant INTEGER NOT NULL, right_variant INTEGER NOT NULL,
    choice TEXT NOT NULL,
    at REAL NOT NULL
);
INSERT INTO "votes" VALUES(1,1,3,0,0,1,'left',1795000100.0);
CREATE UNIQUE INDEX known_completions ON completions (digest) WHERE kept;
CREATE INDEX model_paces ON paces (model);
CREATE INDEX run_votes ON votes (run);
COMMIT;
