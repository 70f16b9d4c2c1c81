"""Digests of training rows: the same case is found again, another is not, and damaged files are refused in words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.datasets.row_digests import (
    RowDigests,
    SeenRows,
    digests_path,
    make_digests,
    merge_digests,
    read_digests,
    write_digests,
)
from workbench.errors import FileError

LONG = "The parcel with the green lamp was left in the rain on Monday, and nobody rang the bell. " * 4


def digests(*texts, role="train", column="message"):
    return make_digests(role, (column,), ({column: text, "id": str(at)} for at, text in enumerate(texts)))


def find(parts, *texts, column="message"):
    found = SeenRows(parts).find((number, {column: text}) for number, text in enumerate(texts, start=1))
    return [(one.case, one.row, one.kind) for one in found]


def test_a_row_is_found_as_it_is_normalised_and_nearly_the_same():
    parts = [digests("Where is my parcel?", LONG, "是今天吗？")]
    asked = (
        "where is my PARCEL",
        LONG.replace("Monday", "Tuesday", 1),
        "Where is my parcel?",
        "Refund me.",
        "是今天吗?",
    )
    assert find(parts, *asked) == [(1, 1, "normalised"), (2, 2, "near"), (3, 1, "exact"), (5, 3, "normalised")]


def test_a_text_of_the_same_kind_about_something_else_is_not_the_same():
    assert find([digests("I was charged twice for the lamp.")], "I was charged twice for the sofa.") == []
    assert find([digests("Is 12 more than 7?")], "Is 12 more than 8?") == []


def test_a_near_text_is_found_in_a_long_text_whose_sketch_is_only_a_sample():
    words = [f"word{at}" for at in range(400)]
    near, far = words.copy(), words[:200] + [f"other{at}" for at in range(200)]
    near[7] = "changed"
    assert find([digests(" ".join(words))], " ".join(near), " ".join(far)) == [(1, 1, "near")]


def test_the_same_text_under_another_column_is_found():
    assert find([digests("Where is my parcel?")], "Where is my parcel?", column="text") == [(1, 1, "exact")]


def test_of_several_columns_all_have_to_be_the_same():
    rows = make_digests("train", ("page", "question"), [{"page": "A page.", "question": "Who wrote it?"}])
    asked = [
        (1, {"page": "A page.", "question": "How long is it?"}),
        (2, {"page": "A page.", "question": "Who wrote it?"}),
        (3, {"text": "A page."}),
    ]
    assert [one.case for one in SeenRows([rows]).find(asked)] == [2]


def test_rows_without_text_are_nothing_to_be_found():
    assert make_digests("train", ("message",), [{"message": "  "}, {"other": "x"}]).exact == ()
    assert find([digests("", "a")], "") == []


def test_the_rows_of_a_parent_are_seen_as_well():
    merged = merge_digests([digests("a b c"), digests("d e f"), digests("g", role="validation")])
    assert [(part.role, len(part.exact)) for part in merged] == [("train", 2), ("validation", 1)]
    assert find(merged, "d e f", "g") == [(1, 2, "exact"), (2, 1, "exact")]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=8))
def test_every_row_is_found_after_it_was_written_and_read(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("adapter")
    write_digests(folder, [digests(*texts)])
    read = read_digests(folder)
    assert read == (digests(*texts),)
    assert [case for case, _, kind in find(read, *texts) if kind == "exact"] == list(range(1, len(texts) + 1))


def test_a_file_has_its_digests_beside_it(tmp_path):
    adapter = tmp_path / "queues-lora.gguf"
    assert read_digests(adapter) is None
    write_digests(adapter, [digests("a")])
    assert digests_path(adapter) == tmp_path / "queues-lora.training_rows.msgpack"
    assert read_digests(adapter) == (digests("a"),)


@pytest.mark.parametrize("damage", [b"", b"\xff" * 20, b"\x91" * 5000, b"\x93\x01\x02\x03"])
def test_digests_that_cannot_be_read_are_named(tmp_path, damage):
    digests_path(tmp_path).write_bytes(damage)
    with pytest.raises(FileError, match=r"training_rows\.msgpack cannot be read"):
        read_digests(tmp_path)


def test_sketches_of_another_length_than_hashes_do_not_break_a_look_up():
    part = RowDigests("train", ("message",), (b"x",), (b"y",), ())
    assert find([part], "anything at all") == []
