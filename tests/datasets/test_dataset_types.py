"""What training can learn from a file is told by its columns, and every form of a row says the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workbench.datasets import describe, load_cases
from workbench.datasets.dataset_types import read_conversation, recognize_types
from workbench.datasets.preferences import read_labelled, read_preferences
from workbench.datasets.spec import Dataset
from workbench.prompting.prompt import Message
from workbench.prompting.tools import ToolCall

ASKED = Message("user", "Where is it?")
TALK = [{"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "Here."}]
SHARED = [{"from": "human", "value": "Where is it?"}, {"from": "gpt", "value": "Here."}]
BAD = [{"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "No."}]
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "", "parameters": {"type": "object"}}}]


def cells(**values: Any) -> dict[str, str]:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


def words(row: dict[str, str]) -> list[str]:
    return [f"{one.type}: {one.layout}" for one in recognize_types(row.keys(), [row])]


FORMS: list[tuple[dict[str, Any], list[str]]] = [
    ({"messages": TALK}, ["conversation: OpenAI"]),
    ({"conversations": SHARED}, ["conversation: ShareGPT"]),
    ({"instruction": "Where", "input": "is it?", "output": "Here."}, ["conversation: Alpaca"]),
    ({"instruction": "Where", "context": "", "response": "Here."}, ["conversation: Dolly"]),
    ({"prompt": "Where is it?", "completion": "Here."}, ["conversation: prompt and completion"]),
    ({"prompt": "Where?", "completion": "Here.", "label": True}, ["kto: KTO"]),
    ({"conversations": SHARED, "kto_tag": False}, ["kto: ShareGPT KTO"]),
    ({"instruction": "Where?", "output": "Here.", "kto_tag": True}, ["kto: Alpaca KTO"]),
    ({"prompt": "Where?", "chosen": "Here.", "rejected": "No."}, ["preference: prompt, chosen, rejected"]),
    ({"chosen": TALK, "rejected": BAD}, ["preference: whole conversations"]),
    ({"conversations": SHARED[:1], "chosen": SHARED[1], "rejected": SHARED[1]}, ["preference: ShareGPT ranking"]),
    ({"instruction": "Where?", "chosen": "Here.", "rejected": "No."}, ["preference: Alpaca ranking"]),
    (
        {"input": {"messages": TALK[:1]}, "preferred_output": TALK[1:], "non_preferred_output": BAD[1:]},
        ["preference: OpenAI"],
    ),
    ({"prompt": "Where?", "answers": ["a", "b"], "votes": [1, 2]}, ["preference: ranked votes"]),
    ({"text": "A long story."}, ["text: plain text"]),
    ({"text": "It broke.", "label": "technical"}, []),
    ({"message": "Hi", "expected": "other"}, []),
    ({"messages": TALK, "text": "User: Where is it?"}, ["conversation: OpenAI", "text: plain text"]),
    ({"prompt": "Where?", "completion": "Here.", "label": "places"}, ["conversation: prompt and completion"]),
]


@pytest.mark.parametrize(("values", "expected"), FORMS, ids=lambda one: "+".join(one))
def test_a_meaning_is_told_by_the_columns(values: dict[str, Any], expected: list[str]) -> None:
    assert words(cells(**values)) == expected


@pytest.mark.parametrize(
    "values",
    [
        {"messages": TALK},
        {"conversations": SHARED},
        {"instruction": "Where", "input": "is it?", "output": "Here."},
        {"prompt": "Where is it?", "completion": "Here."},
        {"prompt": TALK[:1], "completion": TALK[1:]},
    ],
    ids=lambda one: "+".join(one),
)
def test_every_form_of_a_conversation_says_the_same(values: dict[str, Any]) -> None:
    row = cells(**values)
    (recognized,) = recognize_types(row.keys(), [row])
    found = read_conversation(row, recognized)
    assert [message.content.replace("\n", " ") for message in found.messages] == ["Where is it?", "Here."]
    assert [message.role for message in found.messages] == ["user", "assistant"]
    assert found.learned == (1,)


def read(**values: Any) -> Any:
    row = cells(**values)
    return read_conversation(row, recognize_types(row.keys(), [row])[0])


def test_weights_system_and_history_decide_what_is_learned() -> None:
    found = read(
        messages=[*TALK, {"role": "user", "content": "And?"}, {"role": "assistant", "content": "x", "weight": 0}]
    )
    assert found.learned == (1,)
    found = read(conversations=SHARED, system="Be kind.")
    assert (found.messages[0], found.learned) == (Message("system", "Be kind."), (2,))
    found = read(instruction="And now?", output="There.", history=[["Where?", "Here."]], system="Be kind.")
    assert [message.role for message in found.messages] == ["system", "user", "assistant", "user", "assistant"]
    assert found.learned == (2, 4)


def test_calls_results_and_tools_of_both_forms_are_the_same() -> None:
    call = {"name": "weather", "arguments": {"city": "Oslo"}}
    openai = read(
        messages=[
            TALK[0],
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "", "function": {**call, "arguments": '{"city": "Oslo"}'}}],
            },
            {"role": "tool", "content": "-3"},
            TALK[1],
        ],
        tools=TOOLS,
    )
    shared = read(
        conversations=[
            SHARED[0],
            {"from": "function_call", "value": json.dumps(call)},
            {"from": "observation", "value": "-3"},
            SHARED[1],
        ],
        tools=json.dumps(json.dumps([TOOLS[0]["function"]])),
    )
    assert openai == shared
    assert openai.messages[1].calls == (ToolCall("weather", '{"city": "Oslo"}'),)
    assert openai.learned == (1, 3)
    assert openai.tools[0].name == "weather"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ([{"role": "wizard", "content": "x"}], "turn 1 has the role 'wizard'"),
        ([{"role": "user", "content": 3}], "turn 1 has no text"),
        (["x"], "turn 1 is not an object"),
        ([{"role": "assistant", "tool_calls": [{"function": {}}]}], "turn 1 has a call without the name"),
        (
            [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "["}}]}],
            "arguments of f: not JSON",
        ),
    ],
)
def test_a_broken_turn_is_named(value: list[Any], problem: str) -> None:
    good = cells(messages=TALK)
    (recognized,) = recognize_types(good.keys(), [good])
    with pytest.raises(ValueError, match=f"messages: .*{problem}"):
        read_conversation(cells(messages=value), recognized)


def test_parts_that_are_no_text_and_separate_reasoning_are_remarked() -> None:
    parts = [{"type": "text", "text": "Where is it?"}, {"type": "image_url", "image_url": {"url": "x"}}]
    found = read(messages=[{"role": "user", "content": parts}, {**TALK[1], "reasoning_content": "Hm."}])
    assert found.messages[0] == ASKED
    assert [remark.split()[0] for remark in found.remarks] == ["Parts", "Reasoning"]


PAIR = ("Here.", "No.")


@pytest.mark.parametrize(
    "values",
    [
        {"prompt": TALK[:1], "chosen": TALK[1:], "rejected": BAD[1:]},
        {"chosen": TALK, "rejected": BAD},
        {"conversations": SHARED[:1], "chosen": SHARED[1], "rejected": {"from": "gpt", "value": "No."}},
        {"instruction": "Where is it?", "input": "", "chosen": "Here.", "rejected": "No."},
        {"input": {"messages": TALK[:1]}, "preferred_output": TALK[1:], "non_preferred_output": BAD[1:]},
        {"prompt": TALK[:1], "answers": ["No.", "Here."], "votes": [1, 4]},
    ],
    ids=lambda one: "+".join(one),
)
def test_every_form_of_a_pair_says_the_same(values: dict[str, Any]) -> None:
    ((record,), ties) = read_preferences(cells(**values))
    assert (record.prompt, (record.chosen, record.rejected), ties) == ((ASKED,), PAIR, 0)


def test_votes_give_every_decided_pair_and_count_ties() -> None:
    found = read_preferences(cells(prompt="Where?", answers=["a", "b", "c", "d"], votes=[1, 3, 1, 0]))
    assert [(one.chosen, one.rejected) for one in found.records] == [
        ("b", "a"),
        ("b", "c"),
        ("b", "d"),
        ("a", "d"),
        ("c", "d"),
    ]
    assert found.ties == 1
    assert found.records[0].prompt == "Where?"


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"prompt": "x", "chosen": "a", "rejected": "a"}, "both answers are the same"),
        ({"prompt": "x", "chosen": "a"}, "no value in column rejected"),
        ({"chosen": "a", "rejected": "b"}, "no value in column prompt"),
        ({"chosen": TALK, "rejected": TALK}, "both answers are the same"),
        ({"chosen": TALK, "rejected": [{"role": "user", "content": "Else"}]}, "do not begin with the same turn"),
        ({"prompt": "x", "chosen": TALK, "rejected": "b"}, "chosen: expected one turn of the assistant, found user, "),
        ({"prompt": "x", "answers": ["a"], "votes": [1]}, "expected `answers`"),
    ],
)
def test_a_row_that_is_no_pair_says_why(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_preferences(cells(**values))


@pytest.mark.parametrize(
    "values",
    [
        {"prompt": TALK[:1], "completion": TALK[1:], "label": True},
        {"prompt": TALK[:1], "completion": "Here.", "label": "1"},
        {"conversations": SHARED, "kto_tag": True},
        {"instruction": "Where is it?", "output": "Here.", "kto_tag": "true"},
    ],
    ids=lambda one: "+".join(one),
)
def test_every_form_of_a_labelled_answer_says_the_same(values: dict[str, Any]) -> None:
    found = read_labelled(cells(**values))
    assert (found.prompt, found.completion, found.label) == ((ASKED,), "Here.", True)


def test_a_label_that_is_no_truth_value_is_named() -> None:
    with pytest.raises(ValueError, match="label: expected true or false, found 'good'"):
        read_labelled(cells(prompt="x", completion="y", label="good"))


def test_a_bad_answer_of_a_kto_file_is_no_expected_answer(tmp_path: Path) -> None:
    path = tmp_path / "kto.jsonl"
    rows = [{"prompt": "x", "completion": "y", "label": label} for label in (True, False)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    cases = load_cases(Dataset(str(path)), tmp_path)
    assert (cases.layout, [case.expected for case in cases]) == ("kto", ["y", None])
    assert [case.variables for case in cases] == [{"prompt": "x"}] * 2
    assert describe(Dataset(str(path)), tmp_path).types == ("kto (KTO: prompt, completion, label)",)
