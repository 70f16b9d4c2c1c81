from __future__ import annotations

import json

from workbench.cli.app import run


def test_scorers_are_listed_with_an_example(capsys):
    assert run(["scorers"], None) == 0
    told = capsys.readouterr()
    assert "- contains: {text: sorry, negate: true}" in told.out
    assert "workbench scorers NAME" in told.err


def test_one_scorer_is_told_in_full(capsys):
    assert run(["scorers", "judge"], None) == 0
    told = capsys.readouterr().out
    for part in ("Krippendorff", "(required)", "extract_expected", "{after: 'Answer:'}", "points: 5"):
        assert part in told


def test_scorers_are_told_to_machines(capsys):
    assert run(["scorers", "regex", "--json"], None) == 0
    (entry,) = json.loads(capsys.readouterr().out)["scorers"]
    option = {
        "name": "timeout_seconds",
        "type": "number",
        "default": "1.0",
        "range": "> 0",
        "help": "Time limit per answer",
    }
    assert option in entry["options"]


def test_an_unknown_scorer_is_guessed_at(capsys):
    assert run(["scorers", "rouge"], None) == 2
    assert "Did you mean rougeL?" in capsys.readouterr().err
