from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.inert import make_inert

ANY_TEXT = st.text(st.characters(codec=None))
STEERING = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("\x1b]8;;http://x\x07link", "␛]8;;http://x␇link"),
        ("one\rtwo\x08\x7f", "one␍two␈␡"),
        ("\x9b31m", "\ufffd31m"),
        ("a\u2028b\x85c", "a␤b␤c"),
        ("abc\u202edcb", "abc\ufffddcb"),
        ("\ud83d", "\ufffd"),
        ("\x00", "␀"),
    ],
)
def test_what_could_steer_a_terminal_is_shown_instead(text, shown):
    assert make_inert(text) == shown


@pytest.mark.parametrize("text", ["", "a\tb\nc", "[bold]not markup[/]", "שלום עולם", "👩‍👩‍👧 🏳️‍🌈", "né\u0301e"])
def test_ordinary_text_stays_as_it_is(text):
    assert make_inert(text) == text


@given(ANY_TEXT)
def test_nothing_that_steers_is_left(text):
    inert = make_inert(text)
    assert not [char for char in inert if unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\t"]
    assert not STEERING & set(inert)
    inert.encode("utf-8")


@given(ANY_TEXT, ANY_TEXT)
def test_pieces_of_a_stream_may_be_treated_one_by_one(first, second):
    assert make_inert(first + second) == make_inert(first) + make_inert(second)
    assert len(make_inert(first)) == len(first)
