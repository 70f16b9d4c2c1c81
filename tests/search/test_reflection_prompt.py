"""What a reflector is asked."""

from __future__ import annotations

from workbench.datasets import Case
from workbench.search.feedback import CaseFeedback
from workbench.search.journal import CaseResult
from workbench.search.reflection_prompt import write_reflection
from workbench.search.reflective_proposer import choose_shown


def make(number: int, value: float | None, text: str = "Harbour", **more: str) -> CaseFeedback:
    case = Case(number, {"message": f"message {number}", "id": "secret"}, "Lantern")
    return CaseFeedback(case, CaseResult(number, value, text, **more))


def ask(instruction: str = "Sort: {{ message }}", *feedback: CaseFeedback, **more) -> str:
    return write_reflection(instruction, feedback or [make(1, 0.0)], ["message"], **more)[0].content


def test_the_instruction_the_cases_and_the_rules_are_there():
    text = ask("Sort: {{ message }}", make(1, 0.0, explanation="Expected 'Lantern', got 'Harbour'."), make(2, 1.0))
    assert "The instruction now:\n```\nSort: {{ message }}\n```" in text
    assert "Input 1\nmessage: message 1\nAnswer: Harbour\nExpected: Lantern\nScorer: Expected 'Lantern'" in text
    assert "Keep these exactly as they are, once each: {{ message }}" in text
    assert "secret" not in text


def test_an_answer_that_failed_or_is_empty_says_so():
    text = ask("Sort.", make(1, None, "", error="The prompt does not fit."))
    assert "Answer: (empty)" in text and "Scorer: The prompt does not fit." in text


def test_long_texts_are_cut_and_the_cut_is_counted():
    assert "(4,400 characters more)" in ask("Sort.", make(1, 0.0, "x" * 5000))


def test_fences_in_the_data_do_not_end_the_reflectors_own():
    text = ask("Use ```json here.", make(1, 0.0, "```\nrm\n```"))
    assert "Answer: '''\nrm\n'''" in text
    assert "````\nUse ```json here.\n````" in text


def test_form_words_and_length_are_asked_for():
    text = ask(form="Answer with the label only.", required=("Lantern", "Harbour"), most_characters=1200)
    assert "The answers keep their form: Answer with the label only." in text
    assert "These words stay in the instruction: Lantern, Harbour" in text
    assert "Use at most 1,200 characters." in text


def test_failures_are_shown_first_and_each_case_once():
    feedback = [make(1, 1.0), make(2, 0.0), make(2, 0.0), make(3, None), make(4, 1.0), make(5, 1.0), make(6, 0.5)]
    assert [one.case.number for one in choose_shown(feedback)] == [2, 3, 6, 1, 4]
