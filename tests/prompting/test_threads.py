"""Inputs of kind thread become messages between those of the prompt."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from workbench.errors import MissingVariablesError, PromptError
from workbench.library.formats import prompty
from workbench.prompting.prompt import Example, Prompt
from workbench.prompting.prompt_parts import render_prompt
from workbench.prompting.render import render, render_turn
from workbench.prompting.values import write_json

HEAD = "---\ninputs:\n  - {name: earlier, kind: thread}\n  - {name: question}\n---\n"
BODY = "system:\nBe brief.\n\n{{ earlier }}\n\nuser:\n{{ question }}\n"
EARLIER = [{"role": "user", "content": "Hi\n"}, {"role": "assistant", "content": "Hello. user:\n{{ x }}"}]


def load(body: str = BODY) -> Prompt:
    return prompty.load(HEAD + body, "p", Path("p.prompty")).prompt


def show(prompt: Prompt, values, examples=()) -> list[tuple[str, str]]:
    return [(one.role, one.content) for one in render(prompt, values, examples)]


@pytest.mark.parametrize(
    "given", [EARLIER, write_json(EARLIER), str(write_json(EARLIER)), {"_kind": "thread", "messages": EARLIER}]
)
def test_the_messages_stand_where_the_template_prints_them(given):
    assert load().unsupported == ""
    assert show(load(), {"earlier": given, "question": "And?"}) == [
        ("system", "Be brief."),
        ("user", "Hi\n"),
        ("assistant", "Hello. user:\n{{ x }}"),
        ("user", "And?"),
    ]


@pytest.mark.parametrize("given", ["", "  ", [], "[]"])
def test_an_empty_conversation_adds_nothing(given):
    found = show(load(), {"earlier": given, "question": "And?"})
    assert found == [("system", "Be brief."), ("user", "And?")]


def test_text_on_both_sides_are_messages_of_their_own():
    found = show(
        load("user:\nBefore\n\n{{ earlier }}\nAfter {{ question }}"), {"earlier": EARLIER[:1], "question": "q"}
    )
    assert found == [("user", "Before"), ("user", "Hi\n"), ("user", "After q")]


def test_a_template_may_loop_over_it():
    body = "user:\n{% for one in earlier %}{{ one.role }}: {{ one.content }}|{% endfor %}{{ question }}"
    found = show(
        load(body), {"earlier": [{"role": "user", "content": [{"kind": "text", "value": "a"}]}], "question": "q"}
    )
    assert found == [("user", "user: a|q")]


def test_examples_stand_behind_it():
    prompt = msgspec.structs.replace(load(), placement="turns")
    example = Example("e", {"question": "2+2?"}, "4")
    found = show(prompt, {"earlier": EARLIER[:1], "question": "q"}, [example])
    assert [text for _, text in found] == ["Be brief.", "Hi\n", "2+2?", "4", "q"]
    parts = render_prompt(prompt, {"earlier": EARLIER, "question": "q"}, [example])
    assert [one.content for one in parts.messages] == ["Be brief.", "Hi\n", "Hello. user:\n{{ x }}", "2+2?", "4", "q"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("no list", "`earlier` is not a list of messages"),
        (["text"], "message 1 of `earlier` is not an object"),
        ([EARLIER[0], {"role": "robot", "content": ""}], "message 2 of `earlier` has the role 'robot'"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "content of message 1 of `earlier` is not text"),
        ([{"role": "user"}], "content of message 1"),
        ([{"role": "assistant", "content": "", "tool_calls": [{}]}], "tool calls"),
    ],
)
def test_what_is_no_conversation_is_refused_by_name(given, said):
    with pytest.raises(PromptError, match=said):
        render(load(), {"earlier": given, "question": "q"})


def test_a_completion_and_a_single_message_have_none():
    whole = msgspec.structs.replace(load(), mode="completion")
    with pytest.raises(PromptError, match="completion"):
        render(whole, {"earlier": EARLIER, "question": "q"})
    with pytest.raises(PromptError, match="before the last line"):
        render_turn(load("user:\n{{ earlier }}{{ question }}"), {"question": "q"})
    with pytest.raises(MissingVariablesError, match="earlier"):
        render(load(), {"question": "q"})
