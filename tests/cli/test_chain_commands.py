"""Chains on the command line: validate, run, compare, and what refuses them."""

from __future__ import annotations

import json

import pytest

CHAIN = """\
steps:
  - name: first
    template: "Say please: {{ message }}"
  - name: last
    template: "Queue of {{ steps.first.text }}"
"""
CHAIN_BENCH = """\
variants:
  - {name: chain, prompt: two, model: desk.script.json}
dataset: {path: cases.jsonl}
scorers: [exact_match, {contains: {step: first}}]
case: 1
"""


@pytest.fixture
def chain(folder):
    (folder / "two.chain.yaml").write_text(CHAIN)
    (folder / "two.bench.yaml").write_text(CHAIN_BENCH)
    return folder


def test_a_chain_is_compared_with_every_call_in_the_json(call, chain):
    code, out, _ = call("compare", "two.bench.yaml", "--json")
    assert code == 0
    (cell,) = json.loads(out)["cells"]
    assert [(one["step"], one["state"], one["text"]) for one in cell["steps"]] == [
        ("first", "done", "Lantern, of course"),
        ("last", "done", "Lantern"),
    ]
    assert cell["text"] == "Lantern"
    assert cell["prompt_tokens"] == sum(one["prompt_tokens"] for one in cell["steps"])
    assert set(cell["scores"]) == {"exact_match", "first.contains"}


def test_a_chain_is_run_with_its_steps_beside_and_its_answer_on_stdout(call, chain):
    code, out, err = call("run", "two.chain.yaml", "--model", "desk.script.json", "--var", "message=Hello")
    assert (code, out) == (0, "Lantern")
    assert "first: " in err and "Lantern, of course" in err and "2 steps" in err


def test_a_step_that_fails_is_named(call, chain):
    code, _, err = call("run", "two.chain.yaml", "--model", "desk.script.json", "--var", "message=fall")
    assert code == 1
    assert "Step first: It fell." in err


def test_a_sound_chain_has_no_problems_and_a_circle_has_its_step(call, chain):
    assert call("validate", "two.bench.yaml", "two.chain.yaml")[0] == 0
    (chain / "two.chain.yaml").write_text(CHAIN.replace("{{ message }}", "{{ steps.last.text }}"))
    for file in ("two.chain.yaml", "two.bench.yaml"):
        code, out, _ = call("validate", file)
        assert code == 2
        assert "step `first`: `template` uses the step `last`, which comes later" in out


def test_a_step_whose_prompt_is_not_there_is_a_problem(call, chain):
    (chain / "two.chain.yaml").write_text("steps:\n  - {name: a, prompt: nowhere}\n")
    code, out, _ = call("validate", "two.chain.yaml")
    assert code == 2
    assert "nowhere" in out
