from __future__ import annotations

import json

import pytest


@pytest.fixture
def judged(folder, call):
    rules = [
        {"regex": r"<answer A>\s*Lantern\s*</answer", "reply": '{"better": "A"}'},
        {"regex": r"<answer B>\s*Lantern\s*</answer", "reply": '{"better": "B"}'},
    ]
    (folder / "judge.script.json").write_text(json.dumps({"rules": rules, "context_tokens": 10_000}))
    call("eval", "demo.bench.yaml", "--case", "1-2")
    return call


def test_a_model_compares_the_answers_of_a_run(judged):
    code, out, _ = judged("judge", "--model", "judge.script.json")
    assert code == 0
    assert out.index("plain") < out.index("kind")
    assert "2 pairs of answers, each in both orders." in out
    assert "in 100% of the comparisons" in out


def test_every_verdict_can_be_had_as_json(judged):
    code, out, _ = judged("judge", "last", "--model", "judge.script.json", "--against", "kind", "--json")
    told = json.loads(out)
    assert [match["score"]["value"] for match in told["matches"]] == [1, 1]
    assert told["result"]["ratings"][0]["variant"] == "plain"
    assert code == 0


def test_a_judge_that_cannot_be_found_is_told(judged):
    code, _, err = judged("judge", "--model", "nowhere")
    assert code == 2
    assert "nowhere" in err
