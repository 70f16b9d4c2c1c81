from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import pytest

from workbench.datasets import Case
from workbench.errors import ScorerError
from workbench.runs.bench import parse_bench
from workbench.scoring import registry
from workbench.scoring.catalog import common_options, describe_scorers
from workbench.scoring.factory import make_scorers
from workbench.scoring.registry import GROUPS, list_scorers, option, register, scorer_kinds
from workbench.scoring.scorer import Score, Scorer
from workbench.scoring.scorers.exact_match import ExactMatch
from workbench.scoring.scorers.usage import Latency

HEAD = "variants: [{name: a, prompt: p, model: m}]\nscorers:\n  - "
ENTRIES = describe_scorers()


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry.name for entry in ENTRIES])
def test_each_example_can_be_put_into_a_bench(entry, tmp_path):
    (tmp_path / "judge.py").write_text("def score(answer): return 1")
    (scorer,) = make_scorers(parse_bench(HEAD + entry.example, "example").scorers, tmp_path)
    assert scorer.name.endswith(entry.name)


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry.name for entry in ENTRIES])
def test_each_scorer_and_each_option_has_help(entry):
    assert [one.name for one in entry.options if not one.help or not one.type] == []
    assert entry.help and not entry.help.endswith(".")
    assert all(one.help for one in common_options())


def test_options_are_shown_with_type_default_and_range():
    (entry,) = (entry for entry in ENTRIES if entry.name == "regex")
    shown = {one.name: (one.type, one.default, one.range) for one in entry.options}
    assert shown == {
        "pattern": ("text", "", ""),
        "name": ("text", "regex", ""),
        "group": ("integer or text", "none", ""),
        "compare": ("true or false", "true", ""),
        "strict": ("true or false", "false", ""),
        "last": ("true or false", "false", ""),
        "timeout_seconds": ("number", "1.0", "> 0"),
    }
    (until,) = (
        one for one in next(entry for entry in ENTRIES if entry.name == "latency").options if one.name == "until"
    )
    assert until.type == "end | first_token"


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"numeric_match": {"tolerance": -1}}, "tolerance: expected `float` >= 0"),
        ({"chrf": {"word_order": 10}}, "word_order: expected `int` <= 9"),
        ({"regex": {"pattern": "a", "timeout_seconds": 0}}, "timeout_seconds: expected `float` > 0"),
        ({"token_f1": {"weight": 0}}, "weight: expected `float` > 0"),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_range(spec, found):
    with pytest.raises(ScorerError, match=found):
        make_scorers([spec])


def test_scorers_are_listed_by_group():
    groups = [entry.group for entry in ENTRIES]
    assert groups == sorted(groups, key=list(GROUPS.values()).index)
    assert {entry.name: entry.help for entry in ENTRIES} == list_scorers()


def test_two_scorers_of_one_name_are_refused():
    with pytest.raises(ValueError, match="exact_match"):
        register("exact_match", group="match", help="x", example="x")(Latency)
    assert scorer_kinds()["exact_match"].config is ExactMatch


def test_a_scorer_is_added_by_registering_its_class(monkeypatch):
    scorer_kinds()
    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))

    @register("shouting", group="match", help="1 if the answer is in capitals", example="shouting: {least: 3}")
    class Shouting(Scorer, frozen=True, kw_only=True):
        name: str = "shouting"
        least: Annotated[int, option("Letters there must be at least", ge=1)] = 1

        def score(self, text, case):
            return Score(self.name, float(text.isupper() and len(text) >= self.least), text, "In capitals.")

    (scorer,) = make_scorers([{"shouting": {"least": 3}}])
    assert scorer.score("ABC", Case(1, {})).value == 1
    (entry,) = (entry for entry in describe_scorers() if entry.name == "shouting")
    assert ("least", "integer", "1", "≥ 1") in [one[:4] for one in entry.options]
    with pytest.raises(ScorerError, match="least: expected `int` >= 1"):
        make_scorers([{"shouting": {"least": 0}}])


def test_the_scorers_are_listed_in_one_order_whichever_was_imported_first():
    code = (
        "from workbench.scoring.scorers import contains\nfrom workbench.scoring.registry import scorer_kinds\n"
        "print(*scorer_kinds())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert found == list(scorer_kinds())
