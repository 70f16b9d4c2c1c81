"""What is found in a prompt's text: completions and matches."""

from __future__ import annotations

import pytest

from workbench.tui.prompt_text import complete_variable, find_matches, replace_matches

COLUMNS = {"message": "Where is\nmy parcel?", "mood": "", "no name": "x"}


@pytest.mark.parametrize(
    ("before", "after", "rests"),
    [
        ("{{", "", [" message }}", " mood }}"]),
        ("{{ me", "", ["ssage }}"]),
        ("{{ mo", " }}", ["od"]),
        ("{{ message", " }}", []),
        ("{{ ", "message }}", []),
        ("message", "", []),
        ("{{ message }} m", "", []),
    ],
)
def test_a_variable_is_completed_from_the_columns(before, after, rests):
    assert [one.rest for one in complete_variable(before, after, COLUMNS)] == rests


def test_a_completion_shows_a_sample_on_one_line():
    assert complete_variable("{{ mes", "", COLUMNS)[0].sample == "Where is my parcel?"
    assert complete_variable("{{ long", "", {"longer": "word " * 50})[0].sample.endswith("…")


def test_matches_leave_headers_out_and_mind_capitals_only_when_asked():
    lines = ["user:", "A user is a User."]
    assert find_matches(lines, "user") == [((1, 2), (1, 6)), ((1, 12), (1, 16))]
    assert find_matches(lines, "User") == [((1, 12), (1, 16))]
    assert find_matches(lines, "") == []
    assert replace_matches(lines, "user", "clients") == ("user:\nA clients is a clients.", 2)
