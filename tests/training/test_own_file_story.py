"""From one file of 60 rows: divided, trained on, and gated on rows that were not trained on, green and then red."""

from __future__ import annotations

import json
import signal

import pytest
from lesson import WORDS

from workbench.cli.app import run
from workbench.datasets import load_cases
from workbench.datasets.row_digests import SeenRows, read_digests
from workbench.datasets.spec import Dataset
from workbench.training.events import JobEvaluated, read_events
from workbench.training.job_dir import create_job_dir
from workbench.training.recipe_file import parse_stored_recipe
from workbench.training.registry import Registry

pytestmark = pytest.mark.filterwarnings("ignore")

BENCH = """\
dataset: {path: tickets.csv%s}
scorers: [exact_match]
models: {mine: {path: tiny}}
variants: [{name: plain, prompt: ask, model: %s}]
"""
RECIPE = """\
base: mine
bench: tickets.bench.yaml
training: {max_steps: 2, batch_size: 4, device: cpu}
evaluation: {eval_steps: 2, cases: 4, samples: 1, max_tokens: 2}
"""


@pytest.fixture
def tickets(lesson):
    for name in ("train.jsonl", "validation.jsonl"):
        (lesson / name).unlink()
    rows = "".join(f"Where is my {WORDS[n % 4]} {n}?,{WORDS[n % 4]}\n" for n in range(60))
    (lesson / "tickets.csv").write_text(f"message,expected\n{rows}")
    (lesson / "tickets.bench.yaml").write_text(BENCH % ("", "mine"))
    return lesson


def answer(folder, **wrong: str) -> None:
    """A model that is right on all tickets but those about some word."""
    rules = [{"contains": f"my {word} ", "reply": wrong.get(word, word)} for word in WORDS]
    (folder / "desk.script.json").write_text(json.dumps({"rules": rules, "context_tokens": 1000}))


def test_one_file_is_trained_on_and_gated_on_rows_that_were_not(tickets, capsys):
    from datetime import datetime

    from workbench.training.child.run import run_job

    handler = signal.getsignal(signal.SIGTERM)
    job_dir = create_job_dir("mine", RECIPE, tickets, datetime.now())
    ended = run_job(job_dir)
    signal.signal(signal.SIGTERM, handler)
    assert ended.outcome == "done", ended
    manifest = Registry().find("mine").manifest
    assert manifest is not None
    assert [(trace.role, trace.rows) for trace in manifest.data] == [("train", 27), ("validation", 9)]
    evaluated = [event for event in read_events(job_dir.events).events if isinstance(event, JobEvaluated)]
    assert evaluated[-1].scores.keys() == {"exact_match"} and evaluated[-1].cases == 4

    auto = parse_stored_recipe(manifest.recipe, "mine").auto_split
    assert auto is not None
    cases = load_cases(Dataset("tickets.csv", split="test", auto_split=auto), tickets)
    seen = SeenRows(read_digests(Registry().find("mine").path) or ())
    exact = [one for one in seen.find((case.number, case.variables) for case in cases) if one.kind != "near"]
    assert len(cases) == 24 and exact == []

    part = f", split: test, auto_split: {{seed: {auto.seed}}}"
    (tickets / "tickets.bench.yaml").write_text(BENCH % (part, "desk.script.json"))
    answer(tickets)
    assert run(["gate", "tickets.bench.yaml", "--write-baseline"], lambda *_: 0) == 0
    assert run(["gate", "tickets.bench.yaml", "--margin", "0.2"], lambda *_: 0) == 0
    answer(tickets, **dict.fromkeys(("parcel", "kettle"), "lost"))
    assert run(["gate", "tickets.bench.yaml", "--margin", "0.2"], lambda *_: 0) == 1
    assert "worse" in capsys.readouterr().out
