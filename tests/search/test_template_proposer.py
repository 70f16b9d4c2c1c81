from __future__ import annotations

import pytest

from workbench.datasets import Case
from workbench.prompting.prompt import Prompt
from workbench.prompting.render import find_variables, render
from workbench.search.answer_form import find_markers
from workbench.search.feedback import CaseFeedback
from workbench.search.journal import CaseResult
from workbench.search.telling_words import find_telling_words
from workbench.search.template_proposer import propose_instructions

THINGS = {"Lantern": "parcel", "Harbour": "broken", "Compass": "password"}
SEED = Prompt("p", "system:\nChoose the queue.\n\nuser:\n{{ message }}\n")


def make_cases(count: int = 30) -> list[Case]:
    labels = list(THINGS)
    return [
        Case(at + 1, {"message": f"Hello, my {THINGS[labels[at % 3]]} number {at} is here."}, labels[at % 3])
        for at in range(count)
    ]


def fail(case: Case, answer: str, explanation: str = "") -> CaseFeedback:
    return CaseFeedback(case, CaseResult(case.number, 0.0, answer, explanation))


def test_telling_words_are_those_of_one_label_and_not_of_all():
    found = find_telling_words(make_cases(), ("message",))
    assert found == {label: (word,) for label, word in THINGS.items()}


def test_too_few_inputs_tell_nothing():
    assert find_telling_words(make_cases(6), ("message",)) == {"Lantern": (), "Harbour": (), "Compass": ()}


def test_a_proposal_maps_typical_words_to_labels_and_keeps_the_rest_of_the_prompt():
    drafts = propose_instructions(SEED, make_cases(), ["exact_match"])
    first = drafts[0].prompt
    assert "Choose the queue.\n" in first.body
    assert "Lantern: parcel" in first.body and "Harbour: broken" in first.body
    assert "Answer with the label only." in first.body
    assert all(one.prompt.body.endswith("\n\nuser:\n{{ message }}\n") for one in drafts)
    assert len({one.prompt.body for one in drafts}) == len(drafts) >= 4
    assert all(one.reason.endswith(".") for one in drafts)


def test_every_proposal_renders_with_the_same_variables():
    for draft in propose_instructions(SEED, make_cases(), ["exact_match"]):
        assert find_variables(draft.prompt) == ("message",)
        assert [message.role for message in render(draft.prompt, {"message": "hi"})] == ["system", "user"]


def test_the_lines_with_variables_stay_where_there_is_no_system_section():
    seed = Prompt("p", "user:\nChoose the queue.\nMessage: {{ message }}\nQueue:\n")
    drafts = propose_instructions(seed, make_cases(), ["exact_match"])
    assert drafts
    assert all(one.prompt.body.endswith("Message: {{ message }}\nQueue:\n") for one in drafts)


def test_confusions_on_the_train_split_become_rules():
    cases = make_cases()
    feedback = [fail(cases[0], "Harbour"), fail(cases[3], "harbour."), fail(cases[1], "I think it is broken")]
    bodies = [one.prompt.body for one in propose_instructions(SEED, cases, ["exact_match"], feedback)]
    assert any("Take care not to answer Harbour where Lantern fits." in body for body in bodies)
    assert any("Copy the label exactly" in body for body in bodies)


def test_reasoning_is_asked_for_only_where_a_part_of_the_answer_is_scored():
    cases = make_cases()
    whole = propose_instructions(SEED, cases, ["exact_match"])
    assert not any("step by step" in one.prompt.body for one in whole)
    part = propose_instructions(SEED, cases, [{"exact_match": {"extract": {"after": "Answer:"}}}])
    asked = [one.prompt.body for one in part if "step by step" in one.prompt.body]
    assert asked and all("a line that begins with Answer: and holds the label alone" in body for body in asked)


def test_reasoning_does_not_stand_beside_a_ban_on_explanations():
    cases = [Case(at, {"q": f"What is {at} plus {at}?"}, str(2 * at)) for at in range(1, 20)]
    drafts = propose_instructions(Prompt("p", "{{ q }}\n"), cases, [{"numeric_match": {"extract": "last_number"}}])
    asked = [one.prompt.body for one in drafts if "step by step" in one.prompt.body]
    assert asked == ["Think step by step. End with the number on the last line.\n\n{{ q }}\n"]


def test_the_form_of_short_answers_comes_from_the_expected_ones():
    cases = [Case(at, {"q": f"What is {at} plus {at}?"}, str(2 * at)) for at in range(1, 20)]
    bodies = [one.prompt.body for one in propose_instructions(Prompt("p", "{{ q }}\n"), cases, ["numeric_match"])]
    assert any("Use at most 1 word." in body and "Write digits only" in body for body in bodies)


def test_missing_keys_become_remarks():
    cases = [Case(at, {"text": f"Ann comes on day {at}"}, f'{{"name": "Ann", "day": {at}}}') for at in range(1, 6)]
    feedback = [fail(cases[0], '{"name": "Ann"}', "1 of 2 fields right.\nday: missing, expected 1")]
    bodies = [
        one.prompt.body
        for one in propose_instructions(
            Prompt("p", "system:\nExtract.\nuser:\n{{ text }}\n"), cases, ["json_fields"], feedback
        )
    ]
    assert any("Always give the key day." in body for body in bodies)


@pytest.mark.parametrize("label", ["{{ message }}", "{% raw %}", "{# x #}"])
def test_a_label_that_looks_like_a_tag_is_quoted(label: str):
    cases = [Case(at, {"message": f"thing {at}"}, label if at % 2 else "plain") for at in range(1, 21)]
    for draft in propose_instructions(SEED, cases, ["exact_match"]):
        text = render(draft.prompt, {"message": "hi"})[0].content
        assert label in text or "abels" not in text


def test_without_cases_there_is_nothing_to_propose():
    assert propose_instructions(SEED, [], ["exact_match"]) == ()


def test_markers_of_an_extraction_are_found_at_any_depth():
    scorers = ["exact_match", {"combined": {"parts": [{"exact_match": {"extract": ["final_line", {"after": "A: "}]}}]}}]
    assert find_markers(scorers) == ("A:",)
    assert find_markers(["exact_match"]) == ()
