from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workbench.inference.stop_strings import StopFilter

TEXT = st.text(alphabet="ab\n#", max_size=30)
STOPS = st.lists(st.text(alphabet="ab\n#", max_size=4), max_size=3)


def feed_all(stops: list[str], pieces: list[str]) -> tuple[str, bool]:
    stop = StopFilter(stops)
    text = "".join(stop.feed(piece) for piece in pieces)
    return text + stop.flush(), stop.stopped


@given(st.lists(TEXT, max_size=8), STOPS)
def test_pieces_give_what_the_whole_text_gives(pieces: list[str], stops: list[str]) -> None:
    whole = "".join(pieces)
    ends = [whole.index(stop) for stop in stops if stop and stop in whole]
    text, stopped = feed_all(stops, pieces)
    assert stopped == bool(ends)
    if len([stop for stop in stops if stop]) <= 1:
        assert text == whole[: min(ends, default=len(whole))]
    else:  # a longer stop that begins earlier may still be open when a shorter one inside it is found
        assert whole.startswith(text)


@given(st.lists(TEXT, max_size=8), STOPS)
def test_what_was_passed_on_never_holds_a_stop_string(pieces: list[str], stops: list[str]) -> None:
    text, _ = feed_all(stops, pieces)
    assert not any(stop in text for stop in stops if stop)


def test_text_that_only_begins_like_a_stop_string_is_held_back_and_then_passed_on() -> None:
    stop = StopFilter(["###"])
    assert stop.feed("a#") == "a"
    assert stop.feed("#") == ""
    assert stop.feed("b") == "##b"


def test_nothing_comes_after_a_stop_string() -> None:
    stop = StopFilter(["\n"])
    assert [stop.feed("one\ntwo"), stop.feed("three"), stop.flush()] == ["one", "", ""]
