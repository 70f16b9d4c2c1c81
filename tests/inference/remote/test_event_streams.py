"""Events out of bytes that arrive in pieces."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.inference.remote import sse
from workbench.inference.remote.sse import EventReader, JsonLineReader, LineReader, LineTooLongError

STREAM = ': hello\r\n\r\ndata: {"a": "é€"}\n\nevent: x\nid: 7\ndata: one\ndata: two\n\n\ndata:[DONE]\r\rdata: last'
EVENTS = ['{"a": "é€"}', "one\ntwo", "[DONE]", "last"]


def cut(raw: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(raw) + 1) for place in places), len(raw)]
    return [raw[left:right] for left, right in pairwise(bounds)]


@given(st.lists(st.integers(0, 500), max_size=12))
def test_events_are_the_same_wherever_their_bytes_are_cut(places: list[int]) -> None:
    reader = EventReader()
    found = [event for piece in cut(STREAM.encode(), places) for event in reader.feed(piece)]
    assert [*found, *reader.flush()] == EVENTS


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])), max_size=6),
       st.sampled_from(["\n", "\r\n", "\r"]), st.lists(st.integers(0, 500), max_size=8))  # fmt: skip
def test_lines_come_back_as_they_were(lines: list[str], end: str, places: list[int]) -> None:
    reader = LineReader()
    raw = "".join(line + end for line in lines).encode()
    found = [line for piece in cut(raw, places) for line in reader.feed(piece)]
    assert [line.decode() for line in [*found, *reader.flush()]] == lines


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert list(EventReader().feed(b"\xef\xbb\xbfdata: x\n\n")) == ["x"]


def test_broken_characters_are_shown_as_such() -> None:
    assert list(EventReader().feed(b"data: \xff\n\n")) == ["�"]


def test_json_lines_need_no_end_at_the_last_one() -> None:
    reader = JsonLineReader()
    assert [*reader.feed(b'{"a": 1}\n\n{"b"'), *reader.feed(b": 2}"), *reader.flush()] == ['{"a": 1}', '{"b": 2}']


def test_a_line_or_an_event_that_grows_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LONGEST_LINE", 100)
    reader = EventReader()
    with pytest.raises(LineTooLongError):
        for _ in range(30):
            list(reader.feed(b"data"))
    reader = EventReader()
    with pytest.raises(LineTooLongError):
        for _ in range(30):
            list(reader.feed(b"data: 1234567\n"))
