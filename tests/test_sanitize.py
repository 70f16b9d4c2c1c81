from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.sanitize import can_reveal, escape_json, is_safe_line, reveal, sanitize, sanitize_line

ANY_TEXT = st.text(st.characters(codec=None))
STEERING = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")


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
        ("pay\u200fment\u061c", "pay\ufffdment\ufffd"),
    ],
)
def test_what_could_steer_a_terminal_is_shown_instead(text, shown):
    assert sanitize(text) == shown


@pytest.mark.parametrize("text", ["", "a\tb\nc", "[bold]not markup[/]", "שלום עולם", "👩‍👩‍👧 🏳️‍🌈", "né\u0301e"])
def test_ordinary_text_stays_as_it_is(text):
    assert sanitize(text) == text


@given(ANY_TEXT)
def test_nothing_that_steers_is_left(text):
    shown = sanitize(text)
    assert not [char for char in shown if unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\t"]
    assert not STEERING & set(shown)
    shown.encode("utf-8")


@given(ANY_TEXT, ANY_TEXT)
def test_pieces_of_a_stream_may_be_treated_one_by_one(first, second):
    assert sanitize(first + second) == sanitize(first) + sanitize(second)
    assert len(sanitize(first)) == len(first)


@given(ANY_TEXT)
def test_a_row_holds_no_line_feed_and_no_tab(text):
    shown = sanitize_line(text)
    assert is_safe_line(shown)
    assert len(shown) == len(text)
    assert shown == sanitize(text).replace("\n", "␤").replace("\t", " ")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]52;c;eA==\x1b\\", "␛]52;c;eA==␛\\"),
        ("a\u202eb", "a⟨U+202E⟩b"),
        ("\x9b31m", "⟨U+009B⟩31m"),
        ("one\ttwo\nthree", "one\ttwo\nthree"),
        ("\u2028", "⟨U+2028⟩"),
    ],
)
def test_an_editor_names_what_it_cannot_draw(text, shown):
    assert reveal(text) == shown
    assert can_reveal(text) is (text != shown)


@given(ANY_TEXT)
def test_nothing_that_steers_is_left_in_an_editor(text):
    assert sanitize(reveal(text)) == reveal(text)


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_escaped_json_is_the_same_data_in_safe_bytes(value):
    for text in (json.dumps(value, ensure_ascii=False), json.dumps(value, ensure_ascii=False, indent=2)):
        assert json.loads(escape_json(text)) == value
        assert sanitize(escape_json(text)) == escape_json(text)
