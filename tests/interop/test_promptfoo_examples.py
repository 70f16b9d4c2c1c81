"""promptfoo's own examples: prompts are equal in all cells, and assertions pass as there, but for what is lost."""

from __future__ import annotations

import json

import pytest

from tests.interop.promptfoo_examples import RECORD, find_examples, list_examples, run_example
from tests.interop.promptfoo_oracle import find_promptfoo

RECORDED = json.loads(RECORD.read_text())
LEAST_EQUAL = 0.99


def test_what_was_recorded_is_equal():
    imported = {name: one for name, one in RECORDED.items() if "not_imported" not in one}
    assert len(imported) >= 8
    assert {name: one["prompts_that_differ"] for name, one in imported.items() if one["prompts_that_differ"]} == {}
    equal = sum(one["assertions_equal"] for one in imported.values())
    differing = sum(one["assertions_that_differ"] for one in imported.values())
    assert equal / (equal + differing) >= LEAST_EQUAL


@pytest.mark.skipif(find_promptfoo() is None or find_examples() is None, reason="no promptfoo, or no examples of it")
@pytest.mark.parametrize("name", RECORDED)
def test_an_example_comes_out_as_it_was_recorded(name):
    folder = find_examples()
    example = next((one for one in list_examples(folder) if one.relative_to(folder).as_posix() == name), None)
    if example is None:
        pytest.skip("the folder has no such example")
    found, recorded = run_example(example, find_promptfoo()), RECORDED[name]
    if found["digest"] == recorded["digest"]:
        assert found == recorded
        return
    assert "not_imported" in found or not found["prompts_that_differ"]  # another version of the example
    differing = found.get("assertions_that_differ", 0)
    assert differing <= (1 - LEAST_EQUAL) * (found.get("assertions_equal", 0) + differing)
