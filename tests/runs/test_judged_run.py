"""Scorers that ask models, in a whole run."""

from __future__ import annotations

import pytest
from evaluating import CASES, Desk, bench

from workbench.runs.bench import Variant
from workbench.runs.view import RunView
from workbench.scoring.trust import find_untrusted, trust

VERDICT = '{"reason": "as I see it", "score": 4}'


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path)
    made.model("small", rules=[{"contains": "label2", "reply": "I cannot say."}, {"reply": VERDICT}])
    yield made
    made.close()


def carry_out(desk, *scorers):
    evaluation = desk.evaluation(bench(Variant("A", "plain", "desk"), scorers=scorers))
    list(evaluation.events())
    view = RunView(desk.store, evaluation.run)
    return [view.cell("A", case.number) for case in CASES], view


def test_a_judge_rates_each_answer_of_a_run(desk):
    cells, view = carry_out(desk, "exact_match", {"judge": {"model": "small", "rubric": "Good?"}})
    judged = [cell.scores[1] for cell in cells]
    assert [score.value for score in judged] == [0.75, 0, 0.75, 0.75, 0.75]
    assert [score.applies for score in judged] == [True, False, True, True, True]
    assert judged[0].explanation == "small: 4 of 5. as I see it"
    assert judged[0].parts == {"small": 0.75}
    assert len(list(view.judgements("judge"))) == 4


def test_nothing_is_generated_for_scorers_that_only_weigh(desk):
    choices = [f"label{number}" for number in range(1, 6)]
    cells, _ = carry_out(desk, {"multiple_choice": {"choices": choices}}, "perplexity")
    assert all(not cell.completion.text for cell in cells)
    assert all(cell.scores[0].extracted in choices for cell in cells)
    assert all(cell.scores[1].applies and cell.scores[1].value >= 1 for cell in cells)


def test_a_function_of_ones_own_that_fails_stops_no_run(desk, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(desk.folder / "home"))
    (desk.folder / "own.py").write_text("def score(answer, expected):\n    return 1 / (answer != 'label3')\n")
    trust(find_untrusted([{"python": {"file": "own.py"}}], desk.folder))
    cells, view = carry_out(desk, {"python": {"file": "own.py"}})
    assert [cell.scores[0].applies for cell in cells] == [True, True, False, True, True]
    assert cells[2].scores[0].explanation == "score raised ZeroDivisionError: division by zero (own.py, line 2)"
    assert "Traceback" in cells[2].scores[0].details
    assert view.run.failed == 0
