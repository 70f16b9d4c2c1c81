from __future__ import annotations

import json

import pytest

from workbench.datasets import load_cases
from workbench.datasets.spec import Dataset
from workbench.errors import DatasetError


def read(folder, *rows, **choices):
    (folder / "a.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return load_cases(Dataset("a.jsonl", **choices), folder)


def turns(*said, names=("role", "content")):
    return [dict(zip(names, turn, strict=True)) for turn in said]


@pytest.mark.parametrize(
    ("row", "layout", "variables", "expected"),
    [
        (
            {"instruction": "Add.", "input": "1 2", "output": "3"},
            "alpaca",
            {"instruction": "Add.", "input": "1 2"},
            "3",
        ),
        ({"instruction": "Hi", "context": "", "response": "Ho"}, "dolly", {"instruction": "Hi", "context": ""}, "Ho"),
        ({"prompt": "Hi", "completion": "Ho"}, "prompt-completion", {"prompt": "Hi"}, "Ho"),
        ({"prompt": "Hi", "chosen": "yes", "rejected": "no"}, "preference", {"prompt": "Hi"}, "yes"),
        ({"question": "Who?", "answer": "Ada"}, "question-answer", {"question": "Who?"}, "Ada"),
        ({"text": "fine", "label": 1}, "text-label", {"text": "fine"}, "1"),
        ({"input": "in", "target": "out"}, "input-target", {"input": "in"}, "out"),
        ({"message": "m", "expected": "E"}, "columns", {"message": "m"}, "E"),
        ({"text": "t", "label": "l", "expected": "E"}, "columns", {"text": "t", "label": "l"}, "E"),
        (
            {"messages": turns(("system", "Be kind."), ("user", "Hi"), ("assistant", "Ho")), "id": "7"},
            "messages",
            {"system": "Be kind.", "history": "", "input": "Hi", "id": "7"},
            "Ho",
        ),
        (
            {
                "conversations": turns(
                    ("human", "A"), ("gpt", "B"), ("human", "C"), ("gpt", "D"), names=("from", "value")
                )
            },
            "sharegpt",
            {"system": "", "history": "user: A\nassistant: B", "input": "C"},
            "D",
        ),
        (
            {"prompt": turns(("user", "Hi")), "completion": turns(("assistant", "Ho"))},
            "prompt-completion",
            {"system": "", "history": "", "input": "Hi"},
            "Ho",
        ),
        (
            {
                "chosen": turns(("user", "Hi"), ("assistant", "Ho")),
                "rejected": turns(("user", "Hi"), ("assistant", "No")),
            },
            "preference",
            {"system": "", "history": "", "input": "Hi"},
            "Ho",
        ),
    ],
)
def test_the_usual_layouts_are_recognised(tmp_path, row, layout, variables, expected):
    cases = read(tmp_path, row)
    found = {name: text for name, text in cases[0].variables.items() if name != "messages"}
    assert (cases.layout, found, cases[0].expected) == (layout, variables, expected)


def test_a_column_named_expected_goes_before_the_last_turn(tmp_path):
    asked = {"messages": turns(("user", "Hi")), "expected": "Ho"}
    answered = {"messages": turns(("user", "Hi"), ("assistant", "Hm")), "expected": "Ho"}
    unanswered = {"messages": turns(("user", "Hi"))}
    cases = read(tmp_path, asked, answered, unanswered)
    assert cases.layout == "messages"
    assert [case.expected for case in cases] == ["Ho", "Ho", None]


def test_several_right_answers_are_all_kept(tmp_path):
    listed = {"question": "q", "answers": ["Rome", "Roma", "Rome"]}
    squad = {"question": "q", "answers": {"text": ["Paris"], "answer_start": [3]}}
    none = {"question": "q", "answers": {"text": [], "answer_start": []}}
    plain = {"question": "q", "answers": "[not a list"}
    cases = read(tmp_path, listed, squad, none, plain)
    assert [(case.expected, case.also) for case in cases] == [
        ("Rome", ("Roma",)),
        ("Paris", ()),
        ("", ()),  # SQuAD's script: the right answer to what cannot be answered is empty
        ("[not a list", ()),
    ]


def test_an_answer_that_is_a_list_stays_one_where_answers_are_texts(tmp_path):
    (case,) = read(tmp_path, {"instruction": "List them.", "output": '["a", "b"]'})
    assert (case.expected, case.also) == ('["a", "b"]', ())


def test_parts_and_tool_calls_of_a_turn_become_text(tmp_path):
    parts = [{"type": "text", "text": "Look: "}, {"type": "image_url", "image_url": "x"}, {"type": "text", "text": "?"}]
    calls = [{"function": {"name": "find"}}]
    turn = [{"role": "user", "content": parts}, {"role": "assistant", "content": None, "tool_calls": calls}]
    (case,) = read(tmp_path, {"messages": turn})
    assert case.variables["input"] == "Look: ?"
    assert json.loads(case.expected) == calls


def test_columns_may_be_named_after_what_the_layout_makes(tmp_path):
    row = {"messages": turns(("user", "Hi"), ("assistant", "Ho")), "topic": "greeting"}
    (case,) = read(tmp_path, row, columns={"message": "input", "kind": "topic"})
    assert case.variables == {"message": "Hi", "kind": "greeting"}
    assert case.expected == "Ho"
    (case,) = read(tmp_path, {"text": "t", "label": "l"}, columns={"message": "text"})
    assert (case.variables, case.expected) == ({"message": "t"}, "l")


def test_a_layout_can_be_named_or_refused(tmp_path):
    row = {"text": "t", "label": "l"}
    assert read(tmp_path, row, layout="columns")[0].variables == row
    assert read(tmp_path, row, expected="text")[0].variables == {"label": "l"}
    with pytest.raises(DatasetError, match="does not have the layout alpaca: its columns are text, label"):
        read(tmp_path, row, layout="alpaca")
    with pytest.raises(DatasetError, match="No such dataset layout: alpacca"):
        read(tmp_path, row, layout="alpacca")


def test_conversations_that_cannot_be_read_are_told_with_their_lines(tmp_path):
    good = turns(("user", "Hi"))
    with pytest.raises(DatasetError) as caught:
        read(
            tmp_path,
            {"messages": good},
            {"messages": turns(("system", "S"))},
            {"messages": turns(("wizard", "W"))},
            {"messages": "Hi"},
            {"messages": [{"role": "user", "content": 3}]},
            {"messages": ["x"]},
            {"other": "x"},
        )
    lines = caught.value.message.splitlines()[1:]
    assert lines[0] == "  line 2: messages: no turn of a user"
    assert lines[1].startswith("  line 3: messages: turn 1 has the role 'wizard'; expected one of human, user")
    assert lines[2].startswith("  line 4: messages: not a list of turns")
    assert lines[3:] == [
        "  line 5: messages: turn 1 has no text",
        "  line 6: messages: turn 1 is not an object",
        "  line 7: no value in column messages",
    ]


def test_a_row_without_what_its_layout_asks_is_told(tmp_path):
    with pytest.raises(DatasetError, match="line 2: no value in column instruction"):
        read(tmp_path, {"instruction": "a", "output": "b"}, {"output": "c"})


def test_turns_may_stand_in_a_cell_of_a_csv_file(tmp_path):
    said = json.dumps(turns(("user", "Hi"), ("assistant", "Ho"))).replace('"', '""')
    (tmp_path / "a.csv").write_text(f'id,messages\n1,"{said}"\n')
    (case,) = load_cases(Dataset("a.csv"), tmp_path)
    assert (case.variables["input"], case.expected) == ("Hi", "Ho")
