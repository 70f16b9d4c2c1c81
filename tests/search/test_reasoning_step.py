"""On the embedded model: a sum needs a reasoning step, which the templates find without any other model."""

from __future__ import annotations

import json
import shutil

from tests.search.opened_search import open_search
from workbench import paths


def test_a_reasoning_step_is_found_on_the_embedded_model(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    work = tmp_path / "work"
    (work / "data").mkdir(parents=True)
    for part in ("train", "validation", "test"):
        shutil.copy(paths.find_shipped(f"assets/data/change/{part}.jsonl"), work / "data")
    shutil.copytree(paths.find_shipped("prompts/change"), work / "change")
    variant = {
        "name": "ask",
        "prompt": "change/plain",
        "model": str(paths.find_shipped("assets/desk-q8_0.gguf")),
        "sampling": {"max_tokens": 64},
    }
    scorer = {"numeric_match": {"extract": "last_number"}}
    bench = work / "sums.bench.yaml"
    bench.write_text(json.dumps({"dataset": {"path": "data/test.jsonl"}, "scorers": [scorer], "variants": [variant]}))
    with open_search(bench, "instructions", calls=400, max_dev=16, max_test=24, max_train=60) as (search, _):
        result = search.run()
    assert result is not None and result.improved
    assert "Think step by step." in result.winner.body
    assert result.winner.body.startswith("system:\nAnswer with the number only.\n")
    assert result.test.winner.value - result.test.seed.value > 0.3
    assert result.test.low > 0
    assert result.spending.calls <= 400
