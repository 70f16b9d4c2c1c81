from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.prompting.prompt import Prompt
from workbench.prompting.render import render
from workbench.search.instruction_text import (
    choose_fence,
    find_instruction,
    find_tags,
    replace_instruction,
    split_answer,
    split_instruction,
)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("system:\nBe kind.\n\nuser:\n{{ message }}\n", "Be kind."),
        ("user:\nSort this: {{ message }}\n", "Sort this: {{ message }}"),
        ("Sort this: {{ message }}\n", "Sort this: {{ message }}"),
        ("system:\n\nuser:\n{{ message }}\n", ""),
        ("user:\nFirst.\n\nassistant:\nYes?\n\nsystem:\nLate.\n", "Late."),
    ],
)
def test_the_instruction_is_the_system_section_or_the_users(body: str, text: str):
    assert find_instruction(Prompt("p", body)).text == text


def test_a_completion_prompt_is_its_own_instruction():
    body = "system:\nText: {{ message }}\nLabel:"
    assert find_instruction(Prompt("p", body, mode="completion")).text == body


@given(st.text(alphabet="ab c\n", max_size=30))
def test_an_instruction_replaced_is_found_again_and_nothing_else_changes(text: str):
    prompt = Prompt("p", "system:\nBe kind.\n\nuser:\n{{ message }}\n")
    changed = replace_instruction(prompt, text)
    assert find_instruction(changed).text == text.strip("\n")
    assert changed.body.endswith("\n\nuser:\n{{ message }}\n")
    back = replace_instruction(changed, "Be kind.")
    assert render(back, {"message": "hi"}) == render(prompt, {"message": "hi"})


def test_tags_are_listed_as_they_are_written():
    body = "{{message}} {% for e in examples %}{{ e.answer }}{% endfor %}{{message}}{# note #}"
    assert find_tags(body) == ("{{message}}", "{% for e in examples %}", "{{ e.answer }}", "{% endfor %}", "{# note #}")
    assert find_tags("no tag, { brace } alone") == ()


def test_words_are_split_from_the_lines_that_hold_tags():
    assert split_instruction("Sort.\nBe kind.\nText: {{ message }}\nLabel:") == (
        "Sort.\nBe kind.",
        "Text: {{ message }}\nLabel:",
    )


@pytest.mark.parametrize(
    ("answer", "instruction"),
    [
        ("```\nSort it.\n```", "Sort it."),
        ("They miss parcels.\n```text\nSort it.\n```\nGood luck!", "Sort it."),
        ("```\nUse this form:\n```json\n{}\n```\nEnd.\n```", "Use this form:\n```json\n{}\n```\nEnd."),
        ("````\nUse\n```\n{}\n```\n````", "Use\n```\n{}\n```"),
        ("Sort it.", ""),
        ("```\nSort it.", ""),
        ("", ""),
    ],
)
def test_an_instruction_stands_between_the_outermost_fences_and_nowhere_else(answer: str, instruction: str):
    assert split_answer(answer).instruction == instruction


def test_a_fence_is_longer_than_any_in_the_text():
    assert [choose_fence(text) for text in ("plain", "a `word`", "```\nx\n```")] == ["```", "```", "````"]


def test_what_stands_before_the_fence_is_the_analysis():
    assert split_answer("They miss parcels.\n\n```\nSort it.\n```").analysis == "They miss parcels."
