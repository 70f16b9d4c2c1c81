from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.inference.thinking import PLAIN_FORMAT, ThinkingFilter


def split(pieces: list[str], closing: str | None = None) -> tuple[str, str]:
    """The reasoning and the answer."""
    stream = ThinkingFilter(closing)
    found = [piece for text in pieces for piece in stream.feed(text)] + stream.flush()
    return (
        "".join(piece.text for piece in found if piece.thinking),
        "".join(piece.text for piece in found if not piece.thinking),
    )


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("<think>\nwell\n</think>\n\nYes.", "well\n", "Yes."),
        ("\n<think>a</think>b", "a", "b"),
        ("[THINK]hm[/THINK]No", "hm", "No"),
        ("No <think> here </think>.", "", "No <think> here </think>."),
        ("<thin ice", "", "<thin ice"),
        ("  two spaces", "", "  two spaces"),
        ("<think>never closed </thi", "never closed </thi", ""),
        ("", "", ""),
        ("   ", "", "   "),
    ],
)
def test_reasoning_at_the_beginning_is_told_apart(text: str, thought: str, answer: str) -> None:
    assert split([text]) == (thought, answer)
    assert split(list(text)) == (thought, answer)


def test_a_block_that_the_prompt_opened_is_reasoning_from_the_first_token() -> None:
    closing = PLAIN_FORMAT.find_open("<|assistant|><think>\n")
    assert closing == "</think>"
    assert split(["so", "</th", "ink>\n\nYes"], closing) == ("so", "Yes")


def test_a_prompt_that_opens_nothing_expects_nothing() -> None:
    assert PLAIN_FORMAT.find_open("<think></think>\n\n") is None


@given(st.lists(st.sampled_from(["<", "think", ">", "</", "a", " ", "\n", "[THINK]", "</think>"]), max_size=15))
def test_any_split_of_a_text_gives_the_same_parts(pieces: list[str]) -> None:
    assert split(pieces) == split(["".join(pieces)]) == split(list("".join(pieces)))
