from __future__ import annotations

import pytest

from workbench.datasets import Case
from workbench.errors import ScorerError
from workbench.scoring.factory import make_scorers

CASE = Case(1, {"message": "Where is it?"}, "Lantern")


def make(folder, source, **options):
    (folder / "judge.py").write_text(source, encoding="utf-8")
    (scorer,) = make_scorers([{"python": {"file": "judge.py", **options}}], folder)
    return scorer


@pytest.mark.parametrize(
    ("result", "value", "explanation"),
    [
        ("True", 1, "Passed."),
        ("0.25", 0.25, "score returned 0.25."),
        ("(1, 'as it should be')", 1, "as it should be"),
        ("{'score': 0.5, 'explanation': 'half'}", 0.5, "half"),
        ("{'value': 0, 'reason': 'none'}", 0, "none"),
        ("__import__('numpy').float64(0.5)", 0.5, "score returned 0.5."),
    ],
)
def test_a_function_says_what_it_thinks_in_several_ways(tmp_path, result, value, explanation):
    score = make(tmp_path, f"def score(answer): return {result}").score("Lantern", CASE)
    assert (score.value, score.explanation, score.applies) == (value, explanation, True)


def test_a_function_gets_as_much_as_it_asks_for(tmp_path):
    source = "def check(answer, expected, variables): return answer + expected == variables['message']"
    scorer = make(tmp_path, source, function="check", name="mine")
    assert scorer.name == "mine"
    assert scorer.score("a", Case(1, {"message": "ab"}, "b")).value == 1
    assert make(tmp_path / "..", "score = lambda *given: len(given) / 3").score("a", CASE).value == 1


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ("7", "returned 7; expected 0 to 1, or `scale: free`"),
        ("float('nan')", "returned nan; expected a number"),
        ("'good'", "returned 'good'; expected a number"),
        ("None", "returned None"),
        ("{'points': 1}", "returned {'points': 1}"),
    ],
)
def test_a_result_that_is_no_score_is_told_and_does_not_count(tmp_path, result, told):
    score = make(tmp_path, f"def score(answer): return {result}").score("a", CASE)
    assert not score.applies
    assert told in score.explanation


def test_a_free_scale_takes_any_number(tmp_path):
    scorer = make(tmp_path, "def score(answer): return -40", scale="free", lower_is_better=True)
    assert scorer.score("a", CASE).value == -40
    assert scorer.lower_is_better


@pytest.mark.parametrize("raised", ["ValueError('no')", "SystemExit(1)", "RecursionError()"])
def test_a_function_that_raises_says_where_and_the_run_goes_on(tmp_path, raised):
    score = make(tmp_path, f"def score(answer):\n    raise {raised}\n").score("a", CASE)
    assert not score.applies
    assert score.explanation.startswith(f"score raised {raised.split('(')[0]}: ")
    assert score.explanation.endswith("(judge.py, line 2)")
    assert "Traceback" in score.details


def test_the_file_is_read_but_not_run_when_a_bench_is_opened(tmp_path):
    make(tmp_path, "def score(answer): return 1\nraise SystemExit('was run')")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def judge(answer): return 1", "defines no `score`; it defines judge"),
        ("def score(answer:\n  return 1", "line 1"),
        ("x = 1\n", "it defines x"),
    ],
)
def test_a_file_that_cannot_judge_is_told_at_once(tmp_path, source, told):
    with pytest.raises(ScorerError) as caught:
        make(tmp_path, source)
    assert told in caught.value.message


def test_a_file_that_is_not_there_is_told_at_once(tmp_path):
    with pytest.raises(ScorerError, match=r"No such file: `nowhere\.py`"):
        make_scorers([{"python": {"file": "nowhere.py"}}], tmp_path)


def test_names_that_come_from_elsewhere_are_trusted(tmp_path):
    make(tmp_path, "from json import *\n")
    make(tmp_path, "if True:\n    def score(answer): return 1\n")
