"""Preference methods on pairs of the demo's own: best and worst of the answers that its model sampled to a message."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
import torch  # noqa: TID253

import workbench
from workbench.cli.app import run
from workbench.training.events import REWARD_MARGIN, JobEvaluated, read_events
from workbench.training.job_dir import create_job_dir

pytestmark = pytest.mark.filterwarnings("ignore")
SOURCES = Path(workbench.__file__).parents[1]
BENCH = f"""\
library: {SOURCES}/prompts
dataset: {{path: {SOURCES}/assets/data/queues/train.jsonl, limit: 60}}
scorers: [exact_match]
models: {{desk: {{path: {SOURCES}/assets/desk-q8_0.gguf}}}}
repeats: 6
variants:
  - {{name: warm, prompt: queues/described, model: desk, sampling: {{temperature: 1.0, max_tokens: 12, seed: 7}}}}
"""
RECIPE = f"""\
base: {SOURCES}/assets/desk
prompt: queues/described
library: {SOURCES}/prompts
objective: OBJECTIVE
preference: {{path: pairs.jsonl, validation: held.jsonl}}
training: {{max_steps: 10, batch_size: 8, learning_rate: 1.0e-3, device: cpu}}
evaluation: {{eval_steps: 10, cases: 0}}
"""


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_each_method_raises_its_margin_on_pairs_that_were_held_out(tmp_path, monkeypatch, capsys, one_thread):
    from workbench.training.child.run import run_job

    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    Path("pairs.bench.yaml").write_text(BENCH)
    assert run(["eval", "pairs.bench.yaml"], lambda *_: 0) == 0
    capsys.readouterr()
    assert run(["pairs", "--scorer", "exact_match"], lambda *_: 0) == 0
    pairs = capsys.readouterr().out.splitlines()
    assert len(pairs) >= 24 and all({"chosen", "rejected"} <= json.loads(pair).keys() for pair in pairs)
    Path("pairs.jsonl").write_text("\n".join(pairs[:-8]))
    Path("held.jsonl").write_text("\n".join(pairs[-8:]))
    risen = {}
    for objective in ("dpo", "ipo", "kto", "orpo"):
        job_dir = create_job_dir(objective, RECIPE.replace("OBJECTIVE", objective), tmp_path, datetime.now())
        ended = run_job(job_dir)
        assert ended.outcome == "done", ended
        events = read_events(job_dir.events).events
        margins = [event.scores[REWARD_MARGIN] for event in events if isinstance(event, JobEvaluated)]
        risen[objective] = margins[-1] - margins[0]
    assert all(rise > 0.01 for rise in risen.values()), risen
