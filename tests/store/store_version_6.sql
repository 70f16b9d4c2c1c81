BEGIN TRANSACTION;
CREATE TABLE cases (
    run INTEGER NOT NULL, number INTEGER NOT NULL, input INTEGER NOT NULL, line INTEGER NOT NULL,
    PRIMARY KEY (run, number)
) WITHOUT ROWID;
INSERT INTO "cases" VALUES(1,1,1,1);
INSERT INTO "cases" VALUES(1,2,2,2);
INSERT INTO "cases" VALUES(1,3,3,3);
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
INSERT INTO "cells" VALUES(1,1,0,0,7,0,0,0.0,140440018180510,NULL,NULL);
INSERT INTO "cells" VALUES(1,1,0,1,8,0,0,0.0,140440018180510,NULL,NULL);
INSERT INTO "cells" VALUES(1,1,1,0,13,0,0,0.0,207390146910111,NULL,NULL);
INSERT INTO "cells" VALUES(1,1,1,1,14,0,0,0.0,207390146910111,NULL,NULL);
INSERT INTO "cells" VALUES(1,1,2,0,1,1,0,0.0,NULL,'Variables are missing in the prompt: nothing.','Give them a value in the case, in the example, or as a default of the prompt.');
INSERT INTO "cells" VALUES(1,1,2,1,2,1,0,0.0,NULL,'Variables are missing in the prompt: nothing.','Give them a value in the case, in the example, or as a default of the prompt.');
INSERT INTO "cells" VALUES(1,2,0,0,9,0,0,0.0,9057776821703,NULL,NULL);
INSERT INTO "cells" VALUES(1,2,0,1,10,0,0,0.0,9057776821703,NULL,NULL);
INSERT INTO "cells" VALUES(1,2,1,0,15,0,0,0.0,207390146910111,NULL,NULL);
INSERT INTO "cells" VALUES(1,2,1,1,16,0,0,0.0,207390146910111,NULL,NULL);
INSERT INTO "cells" VALUES(1,2,2,0,3,1,0,0.0,NULL,'Variables are missing in the prompt: nothing.','Give them a value in the case, in the example, or as a default of the prompt.');
INSERT INTO "cells" VALUES(1,2,2,1,4,1,0,0.0,NULL,'Variables are missing in the prompt: nothing.','Give them a value in the case, in the example, or as a default of the prompt.');
INSERT INTO "cells" VALUES(1,3,0,0,11,0,0,0.0,280914399956203,NULL,NULL);
INSERT INTO "cells" VALUES(1,3,0,1,12,0,0,0.0,280914399956203,NULL,NULL);
INSERT INTO "cells" VALUES(1,3,1,0,17,0,0,0.0,207390146910111,NULL,NULL);
INSERT INTO "cells" VALUES(1,3,1,1,18,0,0,0.0,207390146910111,NULL,NULL);
INSERT INTO "cells" VALUES(1,3,2,0,5,1,0,0.0,NULL,'Variables are missing in the prompt: nothing.','Give them a value in the case, in the example, or as a default of the prompt.');
INSERT INTO "cells" VALUES(1,3,2,1,6,1,0,0.0,NULL,'Variables are missing in the prompt: nothing.','Give them a value in the case, in the example, or as a default of the prompt.');
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
, reproducible INTEGER NOT NULL DEFAULT 0, notes TEXT NOT NULL DEFAULT '');
INSERT INTO "completions" VALUES(1,NULL,0,'','',0,0,0,0.0,0.0,0.0,0.0,'error',0,'');
INSERT INTO "completions" VALUES(2,NULL,0,'','',0,0,0,0.0,0.0,0.0,0.0,'error',0,'');
INSERT INTO "completions" VALUES(3,NULL,0,'','',0,0,0,0.0,0.0,0.0,0.0,'error',0,'');
INSERT INTO "completions" VALUES(4,NULL,0,'','',0,0,0,0.0,0.0,0.0,0.0,'error',0,'');
INSERT INTO "completions" VALUES(5,NULL,0,'','',0,0,0,0.0,0.0,0.0,0.0,'error',0,'');
INSERT INTO "completions" VALUES(6,NULL,0,'','',0,0,0,0.0,0.0,0.0,0.0,'error',0,'');
INSERT INTO "completions" VALUES(7,X'AEE2D3D3833369520C978EE7B45A0CC9',1,'label1','',5,0,1,0.02,0.0,0.02,1.68935298387494367772e-04,'eos',1,'');
INSERT INTO "completions" VALUES(8,X'A1EED7B65AC6FDD17BFA18DAB9DBDD89',1,'label1','',5,0,1,0.02,0.0,0.02,2.79568571095498369719e-04,'eos',1,'');
INSERT INTO "completions" VALUES(9,X'911637D57953F00E66270D98ABE25421',1,'label2','',5,0,1,0.02,0.0,0.02,3.24180971090501607138e-04,'eos',1,'');
INSERT INTO "completions" VALUES(10,X'8DE4340EED01B6E2521A854B26288D9E',1,'label2','',5,0,1,0.02,0.0,0.02,3.59921637768769895823e-04,'eos',1,'');
INSERT INTO "completions" VALUES(11,X'D1E78C79AEE32FC314975BC23E34504A',1,'label3','',5,0,1,0.02,0.0,0.02,3.91632387776843669466e-04,'eos',1,'');
INSERT INTO "completions" VALUES(12,X'D544B842EB098A02AFC17268D5E63327',1,'label3','',5,0,1,0.02,0.0,0.02,4.2281850205267584343e-04,'eos',1,'');
INSERT INTO "completions" VALUES(13,X'E527E329DF18F8975FE19E59C0465563',1,'something','',7,0,1,0.02,0.0,0.02,7.1413383539030677715e-04,'length',0,'');
INSERT INTO "completions" VALUES(14,X'E42D1EC15C90B9D1E198360533169F54',1,'something','',7,0,1,0.02,0.0,0.02,8.62407921103294913475e-04,'length',0,'');
INSERT INTO "completions" VALUES(15,X'4167734E664948BB14EC9E4F63D6E4E4',1,'something','',7,0,1,0.02,0.0,0.02,1.02862704609533463749e-03,'length',0,'');
INSERT INTO "completions" VALUES(16,X'35325818A9E050133962B545312C6BB7',1,'something','',7,0,1,0.02,0.0,0.02,1.1166330461128684201e-03,'length',0,'');
INSERT INTO "completions" VALUES(17,X'76D96494AF3479892457AB843A01332F',1,'something','',7,0,1,0.02,0.0,0.02,1.22620384608811334482e-03,'length',0,'');
INSERT INTO "completions" VALUES(18,X'D1073AD52F8CB33F6E469C162711FA8A',1,'something','',7,0,1,0.02,0.0,0.02,2.04179093705061497771e-03,'length',0,'');
CREATE TABLE fingerprints (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, changed INTEGER NOT NULL, digest TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "fingerprints" VALUES('/data/demo/desk.script.json',150,1796028451355546494,'6bc7b16ae1b24da0284ee0e61f02ac00');
INSERT INTO "fingerprints" VALUES('/data/demo/judge.script.json',86,1796028451355437172,'f455f7e0ca0a14ee48bf8b777b7ad4a5');
CREATE TABLE inputs (
    key INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, body TEXT NOT NULL, expected TEXT
);
INSERT INTO "inputs" VALUES(1,X'03C7571E27E59AF69BA03FD48F12D3EA','{"number":0,"variables":{"message":"message 1"},"expected":null,"line":0,"also":[],"typed":[]}','label1');
INSERT INTO "inputs" VALUES(2,X'EC9A6CB877679887F98E1F65F93CD246','{"number":0,"variables":{"message":"message 2"},"expected":null,"line":0,"also":[],"typed":[]}','label2');
INSERT INTO "inputs" VALUES(3,X'37F4BA3D42C887EEFF0D879D2FF2C3BE','{"number":0,"variables":{"message":"message 3"},"expected":null,"line":0,"also":[],"typed":[]}','label3');
CREATE TABLE metrics (
    run INTEGER NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL,
    lower_is_better INTEGER NOT NULL, is_binary INTEGER NOT NULL, is_free INTEGER NOT NULL, threshold REAL,
    PRIMARY KEY (run, place)
) WITHOUT ROWID;
INSERT INTO "metrics" VALUES(1,0,'exact_match',0,1,0,1.0);
INSERT INTO "metrics" VALUES(1,1,'judge',0,0,0,1.0);
CREATE TABLE origins (key INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, body TEXT NOT NULL);
INSERT INTO "origins" VALUES(1,X'6A61776B47C43B7B2386499E76AAD299','{"variant":{"name":"A","prompt":"plain","model":"desk","reproducible":true},"prompt":{"name":"plain","body":"user:\n{{ message }}\n","description":"","defaults":{},"kinds":{},"unused":"","placement":"none","mode":"chat","examples":[]},"model":{"model":{"name":"desk","path":"/data/demo/desk.script.json","format":"scripted","chat_template":null,"context_tokens":null,"dtype":"","quantization":"","chat_template_kwargs":""},"fingerprint":"6bc7b16ae1b24da0284ee0e61f02ac00"},"engine":"scripted"}');
INSERT INTO "origins" VALUES(2,X'EF48F6485742F57118D74060C5D29E74','{"variant":{"name":"B","prompt":"other","model":"desk","sampling":{"max_tokens":1}},"prompt":{"name":"other","body":"user:\nPlease: {{ message }}\n","description":"","defaults":{},"kinds":{},"unused":"","placement":"none","mode":"chat","examples":[]},"model":{"model":{"name":"desk","path":"/data/demo/desk.script.json","format":"scripted","chat_template":null,"context_tokens":null,"dtype":"","quantization":"","chat_template_kwargs":""},"fingerprint":"6bc7b16ae1b24da0284ee0e61f02ac00"},"engine":"scripted"}');
INSERT INTO "origins" VALUES(3,X'DC09D020B03B3F4049FC7D28F5C1B2C2','{"variant":{"name":"C","prompt":"wanting","model":"desk"},"prompt":{"name":"wanting","body":"user:\n{{ nothing }}\n","description":"","defaults":{},"kinds":{},"unused":"","placement":"none","mode":"chat","examples":[]},"model":{"model":{"name":"desk","path":"/data/demo/desk.script.json","format":"scripted","chat_template":null,"context_tokens":null,"dtype":"","quantization":"","chat_template_kwargs":""},"fingerprint":"6bc7b16ae1b24da0284ee0e61f02ac00"},"engine":"scripted"}');
CREATE TABLE paces (
    origin BLOB PRIMARY KEY, model TEXT NOT NULL, cells INTEGER NOT NULL, seconds REAL NOT NULL
) WITHOUT ROWID;
INSERT INTO "paces" VALUES(X'6A61776B47C43B7B2386499E76AAD299','6bc7b16ae1b24da0284ee0e61f02ac00',6,1.46377525946146877511e-02);
INSERT INTO "paces" VALUES(X'EF48F6485742F57118D74060C5D29E74','6bc7b16ae1b24da0284ee0e61f02ac00',6,1.13833570977190916967e-02);
CREATE TABLE replies (digest BLOB PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "replies" VALUES(X'1A7E1FC948338B6AA814A88A458E1CCE','{"completion":{"text":"{\"reason\": \"fine\", \"score\": 4}","thinking":"","prompt_tokens":103,"cached_tokens":0,"output_tokens":15,"seconds_to_first_token":0.02,"tokens_per_second":50.0,"elapsed_seconds":0.30000000000000004,"stop_reason":"eos","reproducible":false,"notes":[]}}');
INSERT INTO "replies" VALUES(X'269CFD163D99B86A597E1E387AC4A7E8','{"completion":{"text":"{\"reason\": \"fine\", \"score\": 4}","thinking":"","prompt_tokens":103,"cached_tokens":0,"output_tokens":15,"seconds_to_first_token":0.02,"tokens_per_second":50.0,"elapsed_seconds":0.30000000000000004,"stop_reason":"eos","reproducible":false,"notes":[]}}');
INSERT INTO "replies" VALUES(X'480E3A5471A7726E9929F562E12EF30C','{"completion":{"text":"{\"reason\": \"fine\", \"score\": 4}","thinking":"","prompt_tokens":103,"cached_tokens":0,"output_tokens":15,"seconds_to_first_token":0.02,"tokens_per_second":50.0,"elapsed_seconds":0.30000000000000004,"stop_reason":"eos","reproducible":false,"notes":[]}}');
INSERT INTO "replies" VALUES(X'5C7D0206DA00F1A40C66F8E8109F351E','{"completion":{"text":"{\"reason\": \"fine\", \"score\": 4}","thinking":"","prompt_tokens":103,"cached_tokens":0,"output_tokens":15,"seconds_to_first_token":0.02,"tokens_per_second":50.0,"elapsed_seconds":0.30000000000000004,"stop_reason":"eos","reproducible":false,"notes":[]}}');
INSERT INTO "replies" VALUES(X'65CB400F0D66546C21E59B5109D8E5DC','{"completion":{"text":"{\"reason\": \"fine\", \"score\": 4}","thinking":"","prompt_tokens":103,"cached_tokens":0,"output_tokens":15,"seconds_to_first_token":0.02,"tokens_per_second":50.0,"elapsed_seconds":0.30000000000000004,"stop_reason":"eos","reproducible":false,"notes":[]}}');
INSERT INTO "replies" VALUES(X'E7808DD9F1038597E76FF4147EBB71D4','{"completion":{"text":"{\"reason\": \"fine\", \"score\": 4}","thinking":"","prompt_tokens":103,"cached_tokens":0,"output_tokens":15,"seconds_to_first_token":0.02,"tokens_per_second":50.0,"elapsed_seconds":0.30000000000000004,"stop_reason":"eos","reproducible":false,"notes":[]}}');
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
INSERT INTO "runs" VALUES(1,'1ir1r7','demo','variants:
  - name: A
    prompt: plain
    model: desk
    reproducible: true
  - name: B
    prompt: other
    model: desk
    sampling: {max_tokens: 1}
  - name: C
    prompt: wanting
    model: desk
scorers:
  - exact_match
  - judge:
      model: judge
      rubric: Is it right?
repeats: 2
','/data/demo','','','{"file":"demo.bench.yaml","cases":3,"strategy":"refuse","at_once":32}',1.79602845143624234199e+09,1.7960284514656002521e+09,'finished',3,18,18,6,0,2,0,'made by version 6','',NULL);
CREATE TABLE scores (
    run INTEGER NOT NULL, number INTEGER NOT NULL, variant INTEGER NOT NULL, repeat INTEGER NOT NULL,
    metric INTEGER NOT NULL,
    value REAL NOT NULL, applies INTEGER NOT NULL, extracted TEXT, explanation TEXT, more TEXT, unscored TEXT,
    PRIMARY KEY (run, number, variant, repeat, metric)
) WITHOUT ROWID;
INSERT INTO "scores" VALUES(1,1,0,0,0,1.0,1,'label1','The same.',NULL,NULL);
INSERT INTO "scores" VALUES(1,1,0,0,1,0.75,1,'label1','judge: 4 of 5. fine','{"parts":{"judge":0.75}}',NULL);
INSERT INTO "scores" VALUES(1,1,0,1,0,1.0,1,'label1','The same.',NULL,NULL);
INSERT INTO "scores" VALUES(1,1,0,1,1,0.75,1,'label1','judge: 4 of 5. fine','{"parts":{"judge":0.75}}',NULL);
INSERT INTO "scores" VALUES(1,1,1,0,0,0.0,1,'something','Expected ''label1'', got ''something''.',NULL,NULL);
INSERT INTO "scores" VALUES(1,1,1,0,1,0.75,1,'something','judge: 4 of 5. fine','{"parts":{"judge":0.75}}',NULL);
INSERT INTO "scores" VALUES(1,1,1,1,0,0.0,1,'something','Expected ''label1'', got ''something''.',NULL,NULL);
INSERT INTO "scores" VALUES(1,1,1,1,1,0.75,1,'something','judge: 4 of 5. fine','{"parts":{"judge":0.75}}',NULL);
INSERT INTO "scores" VALUES(1,2,0,0,0,1.0,1,'label2','The same.',NULL,NULL);
INSERT INTO "scores" VALUES(1,2,0,0,1,0.75,1,'label2','judge: 4 of 5. fine','{"parts":{"judge":0.75}}',NULL);
INSERT INTO "scores" VALUES(1,2,0,1,0,1.0,1,'label2','The same.',NULL,NULL);
INSERT INTO "scores" VALUES(1,2,0,1,1,0.75,1,'label2','judge: 4 of 5. fine','{"parts":{"judge":0.75}}',NULL);
INSERT INTO "scores" VALUES(1,2,1,0,0,0.0,1,'something','Expected ''label2'', got ''something''.',NULL,NULL);
INSERT INTO "scores" VALUES(1,2,1,0,1,0.75,1,'something','judge: 4 of 5. fine','{"parts":{"judge":0.75}}',NULL);
INSERT INTO "scores" VALUES(1,2,1,1,0,0.0,1,'something','Expected ''label2'', got ''something''.',NULL,NULL);
INSERT INTO "scores" VALUES(1,2,1,1,1,0.75,1,'something','judge: 4 of 5. fine','{"parts":{"judge":0.75}}',NULL);
INSERT INTO "scores" VALUES(1,3,0,0,0,1.0,1,'label3','The same.',NULL,NULL);
INSERT INTO "scores" VALUES(1,3,0,0,1,0.75,1,'label3','judge: 4 of 5. fine','{"parts":{"judge":0.75}}',NULL);
INSERT INTO "scores" VALUES(1,3,0,1,0,1.0,1,'label3','The same.',NULL,NULL);
INSERT INTO "scores" VALUES(1,3,0,1,1,0.75,1,'label3','judge: 4 of 5. fine','{"parts":{"judge":0.75}}',NULL);
INSERT INTO "scores" VALUES(1,3,1,0,0,0.0,1,'something','Expected ''label3'', got ''something''.',NULL,NULL);
INSERT INTO "scores" VALUES(1,3,1,0,1,0.75,1,'something','judge: 4 of 5. fine','{"parts":{"judge":0.75}}',NULL);
INSERT INTO "scores" VALUES(1,3,1,1,0,0.0,1,'something','Expected ''label3'', got ''something''.',NULL,NULL);
INSERT INTO "scores" VALUES(1,3,1,1,1,0.75,1,'something','judge: 4 of 5. fine','{"parts":{"judge":0.75}}',NULL);
CREATE TABLE variants (
    run INTEGER NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL, origin INTEGER,
    PRIMARY KEY (run, place)
) WITHOUT ROWID;
INSERT INTO "variants" VALUES(1,0,'A',1);
INSERT INTO "variants" VALUES(1,1,'B',2);
INSERT INTO "variants" VALUES(1,2,'C',3);
CREATE TABLE votes (
    key INTEGER PRIMARY KEY,
    run INTEGER NOT NULL, number INTEGER NOT NULL, repeat INTEGER NOT NULL,
    left_variant INTEGER NOT NULL, right_variant INTEGER NOT NULL,
    choice TEXT NOT NULL,
    at REAL NOT NULL
);
INSERT INTO "votes" VALUES(1,1,1,1,0,1,'left',1795000000.0);
CREATE UNIQUE INDEX known_completions ON completions (digest) WHERE kept;
CREATE INDEX model_paces ON paces (model);
CREATE INDEX run_votes ON votes (run);
COMMIT;
PRAGMA user_version = 6;
