"""All scorers of a bench at work, the slow and the strange ones in a real process of their own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE

import psutil
import pytest

from workbench.datasets import Case
from workbench.errors import ScorerError
from workbench.inference.types import Completion, Likelihood
from workbench.scoring.grader_request import GraderReply, LoglikelihoodCall, ModelCall
from workbench.scoring.scorer_set import ScorerSet
from workbench.scoring.trust import find_untrusted, trust

CASE = Case(1, {"message": "Where is it?"}, "Lantern")
PATIENCE = 60
STRANGE = """
import os, time

def score(answer):
    print("noise on standard output")
    if answer == "hang":
        time.sleep(3600)
    if answer == "crash":
        os.write(2, b"last words\\n")
        os._exit(3)
    if answer == "raise":
        raise ValueError("no")
    return os.getpid(), "the process"

def wrong(answer):
    return 2
"""
OWN = {"python": {"file": "strange.py", "scale": "free", "timeout_seconds": 20}}
HASTY = {"python": {"file": "strange.py", "scale": "free", "timeout_seconds": 0.3}}


@pytest.fixture
def open_scoring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ScorerSet]]:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    (tmp_path / "strange.py").write_text(STRANGE)
    opened: list[ScorerSet] = []

    def make(*specs):
        trust(find_untrusted(specs, tmp_path))
        opened.append(ScorerSet(specs, tmp_path))
        return opened[-1]

    yield make
    for scoring in opened:
        scoring.close()


def judge(scoring, text, case=CASE, **more):
    return scoring.score(text, case, **more).result(PATIENCE)


def test_light_scorers_judge_at_once_and_start_no_process(open_scoring):
    scoring = open_scoring("exact_match", "contains", OWN)
    light = open_scoring("exact_match", "contains")
    future = light.score("Lantern", CASE)
    assert future.done()
    assert [score.value for score in future.result()] == [1, 1]
    assert not psutil.Process().children()
    assert [scorer.heavy for scorer in scoring.scorers] == [False, False, True]


def test_scores_come_in_the_order_of_the_bench_and_foreign_code_runs_elsewhere(open_scoring):
    scoring = open_scoring(OWN, "exact_match", {"json_schema": {"schema": {"type": "object"}}})
    own, exact, schema = judge(scoring, "{}")
    assert [own.scorer, exact.scorer, schema.scorer] == ["python", "exact_match", "json_schema"]
    (child,) = psutil.Process().children()
    assert own.value == child.pid
    assert schema.value == 1


def test_many_answers_may_wait_at_once(open_scoring):
    scoring = open_scoring(OWN, "exact_match")
    futures = [scoring.score(text, CASE) for text in ["Lantern", "no"] * 100]
    values = [future.result(PATIENCE) for future in futures]
    assert [exact.value for _, exact in values] == [1, 0] * 100
    assert len({own.value for own, _ in values}) == 1


def test_a_function_that_raises_does_not_count_and_keeps_its_process(open_scoring):
    scoring = open_scoring(OWN)
    (before,), (raised,), (after,) = (judge(scoring, text) for text in ("a", "raise", "b"))
    assert not raised.applies
    assert raised.explanation == "score raised ValueError: no (strange.py, line 12)"
    assert before.value == after.value


def test_a_function_that_ends_its_process_does_not_count_and_the_next_answer_has_a_new_one(open_scoring):
    scoring = open_scoring(OWN, "exact_match")
    (before, _), (lost, exact), (after, _) = (judge(scoring, text) for text in ("a", "crash", "b"))
    assert lost.explanation == "It brought its process down: it ended by itself (exit code 3), 2 times."
    assert not lost.applies
    assert lost.unscored == "lost"
    assert lost.details.endswith("last words")
    assert exact.applies
    assert after.applies
    assert before.value != after.value


def test_a_function_that_hangs_is_stopped_and_given_up_after_three_times(open_scoring):
    scoring = open_scoring(HASTY)
    judge(scoring, "a")
    told = [judge(scoring, "hang")[0].explanation for _ in range(3)]
    assert told == ["It took more than 0.3 s on this answer and was stopped."] * 3
    (given_up,) = judge(scoring, "a")
    assert given_up.unscored
    assert given_up.explanation == f"{told[0]} So it ended 3 times in a row; it is not tried again."


def test_closing_ends_even_a_process_that_hangs(open_scoring):
    scoring = open_scoring(OWN)
    judge(scoring, "a")
    (child,) = psutil.Process().children()
    waiting = [scoring.score(text, CASE) for text in ("hang", "a")]
    began = time.monotonic()
    scoring.close()
    assert time.monotonic() - began < 60
    assert [future.result(PATIENCE)[0].explanation for future in waiting] == ["The scoring was closed."] * 2
    assert not child.is_running()
    assert judge(scoring, "a")[0].explanation == "The scoring was closed."


def test_the_process_ends_with_the_one_that_started_it_even_while_it_hangs(tmp_path, open_scoring):
    open_scoring(OWN)
    code = f"""
import sys, psutil
from pathlib import Path
from workbench.datasets import Case
from workbench.scoring.scorer_set import ScorerSet
from workbench.scoring.trust import find_untrusted, trust
scoring = ScorerSet([{OWN!r}], Path({str(tmp_path)!r}))
scoring.score("a", Case(1, {{}})).result()
print(psutil.Process().children()[0].pid, flush=True)
scoring.score("hang", Case(1, {{}}))
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=PIPE, stdout=PIPE, text=True) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    _, alive = psutil.wait_procs([child], timeout=PATIENCE)
    assert not alive


def test_an_answer_that_cannot_be_sent_does_not_count(open_scoring):
    (score,) = judge(open_scoring(OWN), "\ud800")
    assert not score.applies
    assert "could not be judged" in score.explanation


def test_questions_are_asked_once_and_replies_find_their_scorers(open_scoring):
    judging = {"judge": {"model": "small", "rubric": "Good?"}}
    again = {"judge": {"model": "small", "rubric": "Good?", "name": "again"}}
    scoring = open_scoring("exact_match", judging, again, "log_likelihood", "perplexity")
    grader_requests = scoring.grader_requests("Abacus", CASE)
    assert [type(question) for question in grader_requests] == [ModelCall, LoglikelihoodCall]
    replies = [
        GraderReply(completion=Completion(text='{"reason": "", "score": 5}', stop_reason="eos")),
        GraderReply(likelihoods=(Likelihood(-2.0, 2, 7, False),)),
    ]
    scores = judge(scoring, "Abacus", replies=replies)
    assert [score.value for score in scores] == [0, 1, 1, -2, pytest.approx(2.718281828)]
    assert [score.applies for score in judge(scoring, "Abacus")] == [True, False, False, False, False]


def test_a_combination_with_a_slow_part_and_a_judge_is_carried_out_elsewhere(open_scoring):
    parts = [{"json_schema": {"schema": {}}}, {"judge": {"model": "small", "rubric": "Good?"}}]
    scoring = open_scoring({"combined": {"parts": parts}})
    (question,) = scoring.grader_requests("{}", CASE)
    reply = GraderReply(completion=Completion(text='{"reason": "", "score": 3}', stop_reason="eos"))
    assert isinstance(question, ModelCall)
    (score,) = judge(scoring, "{}", replies=[reply])
    assert score.parts == {"json_schema": 1, "judge": 0.5}


def test_whether_anything_has_to_be_generated_is_known(open_scoring):
    choice = {"multiple_choice": {"choices": ["a", "b"]}}
    assert not open_scoring(choice, "perplexity").needs_answer
    assert open_scoring(choice, "exact_match").needs_answer


def test_how_an_answer_came_about_reaches_the_scorers(open_scoring):
    done = Completion(text="a", output_tokens=2, elapsed_seconds=1.5)
    scoring = open_scoring("latency", "output_length", "cost")
    assert [score.value for score in judge(scoring, "a", completion=done, cost=0.5)] == [1.5, 2, 0.5]
    cached = judge(scoring, "a", completion=done, cached=True)
    assert [score.applies for score in cached] == [False, True, False]


def test_a_score_says_what_scale_its_value_is_on(open_scoring):
    scores = judge(
        open_scoring("exact_match", "edit_distance", {"edit_distance": {"threshold": 2, "name": "near"}}), "a"
    )
    assert [score.scale for score in scores] == ["unit", "free", "unit"]


def test_a_bench_without_scorers_has_no_scores(open_scoring):
    assert judge(open_scoring(), "a") == ()


def test_scorers_that_cannot_be_made_are_told_before_anything_runs(tmp_path):
    with pytest.raises(ScorerError, match="did you mean exact_match"):
        ScorerSet(["exact_mach"], tmp_path)


def test_opening_a_scoring_loads_no_metric_library():
    code = "import sys; from workbench.scoring.registry import list_scorers; list_scorers()\n"
    code += "from workbench.scoring.scorer_set import ScorerSet; from pathlib import Path\n"
    code += "ScorerSet(['exact_match', 'bleu', 'rougeL', 'accuracy', 'edit_distance'], Path())\n"
    code += "print(*sorted(name for name in sys.modules if '.' not in name))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"sacrebleu", "rouge_score", "sklearn", "rapidfuzz", "jsonschema", "krippendorff", "scipy", "numpy"}
    assert not heavy & set(done.stdout.split())
