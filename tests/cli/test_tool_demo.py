"""The shipped benches of tools and turns, on the embedded model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assets.recipe.tickets import write_conversations, write_tickets

ROOT = Path(__file__).parents[2]
DATA = ROOT / "assets/data"


def test_the_rows_are_those_of_the_recipe(tmp_path):
    write_tickets(tmp_path / "tickets", DATA / "fields/test.jsonl")
    write_conversations(tmp_path / "conversations", DATA / "fields/test.jsonl")
    for name in ("tickets", "conversations"):
        assert (tmp_path / name / "test.jsonl").read_bytes() == (DATA / name / "test.jsonl").read_bytes()


@pytest.mark.model
def test_a_model_that_writes_no_call_fills_one_in_that_is_held_to_its_schema(call):
    code, out, err = call("eval", ROOT / "prompts/tools.bench.yaml", "--limit", 3, "--json")
    assert code == 0, err
    free, constrained = json.loads(out)["variants"]
    assert free["scores"]["tool_calls"]["value"] == 0.0
    assert constrained["scores"]["tool_calls"]["value"] == 1.0


@pytest.mark.model
def test_both_turns_of_a_conversation_are_answered(call):
    code, out, err = call("eval", ROOT / "prompts/turns.bench.yaml", "--variant", "q4_0", "--limit", 2, "--json")
    assert code == 0, err
    assert json.loads(out)["variants"][0]["scores"]["exact_match"]["value"] == 1.0
    assert "sends the same prompt" not in out + err
