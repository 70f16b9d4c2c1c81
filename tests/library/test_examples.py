from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import PromptError
from workbench.library.examples import dump_examples, load_examples
from workbench.prompting.prompt import Example

PATH = Path("queues/examples.jsonl")
TEXT = st.text(st.characters(codec="utf-8"))
KEYS = TEXT.filter(lambda key: key not in ("id", "answer"))
EXAMPLES = st.lists(
    st.builds(Example, id=TEXT.filter(bool), variables=st.dictionaries(KEYS, TEXT, max_size=3), answer=TEXT),
    unique_by=lambda example: example.id,
    max_size=5,
).map(tuple)


@given(EXAMPLES)
def test_examples_come_back_as_they_were_written(examples: tuple[Example, ...]) -> None:
    assert load_examples(dump_examples(examples), PATH) == examples


@given(EXAMPLES, EXAMPLES)
def test_examples_written_over_others_come_back(old: tuple[Example, ...], new: tuple[Example, ...]) -> None:
    assert load_examples(dump_examples(new, dump_examples(old)), PATH) == new


def test_a_line_that_was_not_edited_is_kept_as_it_was() -> None:
    source = '{"answer":"A",  "id":"e1", "m":"caf\\u00e9"}\n\n{"id": "e2", "m": "q", "answer": "B"}'
    first, second = load_examples(source, PATH)
    edited = Example("e2", second.variables, "C")
    assert dump_examples((first, edited), source) == (
        '{"answer":"A",  "id":"e1", "m":"caf\\u00e9"}\n{"id": "e2", "m": "q", "answer": "C"}\n'
    )


def test_every_wrong_line_is_reported_with_its_number() -> None:
    text = '{"id": "e1", "answer": "A"}\n{"id": 3}\nnonsense\n\n[]\n{"id": "e1", "answer": ""}\n{"a": "", "a": ""}\n'
    with pytest.raises(PromptError) as caught:
        load_examples(text, PATH)
    assert caught.value.message.split("\n") == [
        f"{PATH}:2: `id` is not a string, `answer` is missing",
        f"{PATH}:3: not JSON at column 1: Expecting value",
        f"{PATH}:5: expected a JSON object",
        f"{PATH}:6: the id `e1` is also that of line 1",
        f"{PATH}:7: the key `a` is duplicated",
    ]


def test_windows_line_endings_and_a_byte_order_mark_stay() -> None:
    source = '\ufeff{"id": "e1", "answer": "A"}\r\n'
    assert dump_examples(load_examples(source, PATH), source) == source
