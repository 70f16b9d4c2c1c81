from __future__ import annotations

import pytest

from workbench.evaluation.bench import parse_bench
from workbench.evaluation.scorers import list_scorers, make_scorers
from workbench.evaluation.scorers.catalog import describe_common, describe_scorers

HEAD = "variants: [{name: a, prompt: p, model: m}]\nscorers:\n  - "
ENTRIES = describe_scorers()


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry.name for entry in ENTRIES])
def test_each_example_can_be_put_into_a_bench(entry, tmp_path):
    (tmp_path / "judge.py").write_text("def score(answer): return 1")
    (scorer,) = make_scorers(parse_bench(HEAD + entry.example, "example").scorers, tmp_path)
    assert scorer.name.endswith(entry.name)


@pytest.mark.parametrize("entry", [*ENTRIES, describe_common()], ids=lambda entry: entry.name)
def test_each_option_is_explained_where_its_name_does_not_do(entry):
    clear = {"pattern", "rubric", "kind"}
    assert [one.name for one in entry.options if not one.meaning and one.name not in clear] == []
    assert entry.question
    assert "  " not in entry.notes


def test_defaults_are_written_as_in_a_bench():
    entry = next(entry for entry in ENTRIES if entry.name == "regex")
    written = {one.name: one.default for one in entry.options}
    assert written == {
        **{"pattern": "", "name": "regex", "group": "none", "compare": "true", "strict": "false"},
        **{"last": "false", "timeout_seconds": "1.0"},
    }


def test_the_catalog_and_the_list_name_the_same_scorers():
    assert {entry.name: entry.question for entry in ENTRIES} == list_scorers()
