from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz import fuzz

from workbench.datasets import Case
from workbench.datasets.duplicates import find_duplicates
from workbench.prompting.prompt import Example


def cases(*texts):
    return [Case(number, {"id": f"t{number}", "message": text}) for number, text in enumerate(texts, start=1)]


def examples(*texts):
    return [Example(f"e{number}", {"message": text}, "A") for number, text in enumerate(texts, start=1)]


def told(leaks):
    return [(leak.example, leak.case, leak.kind) for leak in leaks]


def test_the_three_kinds_of_a_leak_are_told_apart():
    known = examples("Where is my parcel?", "I was charged twice for the lamp.", "Something else entirely.")
    asked = cases(
        "I was charged twice for the lamb.",
        "where is my parcel",
        "Where is my parcel?",
        "Please move my appointment to Friday.",
    )
    leaks = find_duplicates(known, asked)
    assert told(leaks) == [("e1", 2, "normalised"), ("e1", 3, "exact"), ("e2", 1, "near")]
    assert [leak.similarity for leak in leaks[:2]] == [1.0, 1.0]
    assert 0.9 <= leaks[2].similarity < 1
    assert leaks[2].example_text == "I was charged twice for the lamp."


def test_the_threshold_decides_what_is_near():
    known, asked = examples("one two three four"), cases("one two three five")
    similarity = fuzz.ratio("one two three four", "one two three five") / 100
    assert told(find_duplicates(known, asked, similarity - 0.01)) == [("e1", 1, "near")]
    assert find_duplicates(known, asked, similarity + 0.01) == ()
    assert told(find_duplicates(known, cases("One two, three four"), threshold=1)) == [("e1", 1, "normalised")]


def test_training_rows_are_called_by_their_numbers_and_ids_do_not_count():
    rows = [Case(7, {"id": "train-7", "message": "The same text."})]
    assert told(find_duplicates(rows, cases("The same text."))) == [("row 7", 1, "exact")]


def test_every_variable_has_to_be_alike():
    page = "A long page that two questions are asked about, and that both rows hold word for word. " * 3
    known = [Example("e1", {"page": page, "question": "Who wrote it?"}, "A")]
    asked = [
        Case(1, {"page": page, "question": "How many pages does it have?"}),
        Case(2, {"page": page, "question": "who wrote it"}),
    ]
    assert told(find_duplicates(known, asked)) == [("e1", 2, "normalised")]
    assert len(find_duplicates(known, asked, variables=["page"])) == 2


@pytest.mark.parametrize(("known", "asked"), [([], ["a"]), (["a"], []), (["", "  "], ["", "x"])])
def test_where_there_is_nothing_to_compare_nothing_leaks(known, asked):
    assert find_duplicates(examples(*known), cases(*asked)) == ()


def test_texts_without_a_letter_are_compared_as_they_are():
    assert told(find_duplicates(examples("???", "!!!"), cases("!!!"))) == [("e2", 1, "exact")]


WORDS = st.lists(
    st.sampled_from(["parcel", "lamp", "card", "visit", "app", "refund", "two", "no", "Leo"]), min_size=1, max_size=12
)


@settings(deadline=None, max_examples=60)
@given(st.lists(WORDS.map(" ".join), min_size=1, max_size=6), st.lists(WORDS.map(" ".join), max_size=300))
def test_looking_only_where_lengths_agree_misses_no_pair(known, asked):
    leaks = find_duplicates(examples(*known), cases(*asked), 0.85)
    expected = {
        (f"e{a}", b)
        for a, mine in enumerate(known, start=1)
        for b, theirs in enumerate(asked, start=1)
        if fuzz.ratio(mine.casefold(), theirs.casefold()) >= 85
    }
    assert {(leak.example, leak.case) for leak in leaks} == expected
    assert len(leaks) == len(expected)
