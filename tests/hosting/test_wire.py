from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.engines.engine import (
    Chunk,
    EngineStatus,
    Failure,
    Likelihood,
    Progress,
    Request,
    Sampling,
    Tokenized,
    Weighed,
    Weighing,
)
from workbench.errors import EngineError
from workbench.frames import FrameError
from workbench.hosting import wire
from workbench.models.reference import Model, ModelInfo
from workbench.prompting.prompt import Message

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
NUMBER = st.integers(0, 2**40)
REQUESTS = st.builds(
    Request,
    NUMBER,
    st.tuples(st.builds(Message, st.sampled_from(["system", "user", "assistant"]), TEXT)),
    st.builds(Sampling, st.floats(0, 2), stop=st.tuples(TEXT), logit_bias=st.dictionaries(TEXT, st.floats(-9, 9))),
)
COMMANDS = st.one_of(
    st.builds(wire.Open, st.builds(Model, TEXT, st.just(Path("/a/ü.gguf")), chat_template=st.none() | TEXT)),
    st.builds(wire.Submit, REQUESTS),
    st.builds(wire.Cancel, NUMBER),
    st.builds(wire.Count, NUMBER, st.tuples(REQUESTS, REQUESTS)),
    st.builds(wire.Tokenize, NUMBER, REQUESTS),
    st.builds(wire.Weigh, st.builds(Weighing, NUMBER, st.just(()), st.tuples(TEXT, TEXT), priority=st.integers(0, 1))),
)
EVENTS = st.one_of(
    st.builds(Progress, NUMBER, st.sampled_from(["loading", "queued", "running"]), st.none() | st.floats(0, 1)),
    st.builds(Chunk, NUMBER, TEXT, st.booleans(), stop_reason=st.none() | st.just("eos")),
    st.builds(Failure, NUMBER, TEXT, TEXT, TEXT),
    st.builds(Weighed, NUMBER, st.tuples(st.builds(Likelihood, st.floats(-99, 0), NUMBER, NUMBER, st.booleans()))),
)
REPLIES = st.one_of(
    st.builds(wire.Loading, st.none() | st.floats(0, 1)),
    st.just(wire.Opened(ModelInfo("llama", "Q8_0", 1, 2, 3, 4, True))),
    st.builds(wire.Events, st.tuples(EVENTS, EVENTS)),
    st.builds(wire.Told, st.builds(EngineStatus, st.floats(0, 9), bandwidth_share=st.none() | st.floats(0, 1))),
    st.builds(wire.Counted, NUMBER, st.tuples(NUMBER)),
    st.builds(wire.Shown, NUMBER, st.just(Tokenized("ab", (1, 2), ("a", "b")))),
    st.builds(wire.Refused, st.none() | NUMBER, TEXT, TEXT, TEXT),
)


@given(st.lists(COMMANDS, max_size=4))
def test_commands_come_out_as_they_went_in(commands: list[wire.Command]) -> None:
    stream = io.BytesIO(b"".join(map(wire.pack, commands)))
    assert list(wire.read_commands(stream)) == commands


@given(st.lists(REPLIES, max_size=4))
def test_replies_come_out_as_they_went_in(replies: list[wire.Reply]) -> None:
    stream = io.BytesIO(b"".join(map(wire.pack, replies)))
    assert list(wire.read_replies(stream)) == replies


@given(st.binary(max_size=64))
def test_noise_is_an_error_and_never_a_frame(noise: bytes) -> None:
    try:
        assert list(wire.read_replies(io.BytesIO(noise))) == []
    except EngineError:
        return
    assert noise == b""


@given(REPLIES, st.data())
def test_a_frame_cut_short_is_an_error(reply: wire.Reply, data: st.DataObject) -> None:
    frame = wire.pack(reply)
    cut = data.draw(st.integers(1, len(frame) - 1))
    with pytest.raises(EngineError):
        list(wire.read_replies(io.BytesIO(frame[:cut])))


def test_a_command_is_not_taken_for_a_reply() -> None:
    with pytest.raises(EngineError, match="not a frame"):
        list(wire.read_replies(io.BytesIO(wire.pack(wire.Cancel(1)))))


def test_an_absurd_length_is_refused_without_reading_on() -> None:
    with pytest.raises(EngineError, match="torn"):
        list(wire.read_replies(io.BytesIO(b"\xff\xff\xff\xff")))


@pytest.mark.parametrize("size", [10_000, 5_000_000])
def test_what_an_engine_says_of_a_failure_is_cut_and_says_so(size: int) -> None:
    long = "x" * size
    refused = wire.Refused(None, long, long, long)
    events = wire.Events((Chunk(1, long), Failure(1, long, long, long)))
    (reply,) = wire.read_replies(io.BytesIO(wire.pack(refused)))
    (told,) = wire.read_replies(io.BytesIO(wire.pack(events)))
    assert isinstance(reply, wire.Refused)
    assert isinstance(told, wire.Events)
    for one in (reply, told.events[1]):
        assert isinstance(one, (wire.Refused, Failure))
        assert len(one.message) < 4_100
        assert one.message.endswith(f"[cut: {size:,} characters in all]")
        assert len(one.hint) < 4_100
        assert len(one.details) < 40_100
    assert told.events[0] == Chunk(1, long)  # an answer is never cut


def test_half_characters_in_a_failure_are_escaped() -> None:
    (reply,) = wire.read_replies(io.BytesIO(wire.pack(wire.Refused(3, "\udcff.gguf is torn"))))
    assert reply == wire.Refused(3, "\\udcff.gguf is torn")


@pytest.mark.parametrize("name", [b"/a/\xff.gguf", "/a/ü.gguf".encode(), b"/a/\xc3\x28/\x80"])
def test_a_path_is_the_same_on_the_other_side_whatever_its_bytes(name: bytes) -> None:
    opened = wire.Open(Model("m", Path(os.fsdecode(name))))
    assert list(wire.read_commands(io.BytesIO(wire.pack(opened)))) == [opened]


def test_a_frame_that_is_too_long_is_refused_before_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LONGEST_FRAME", 1000)
    with pytest.raises(FrameError, match="at most 1,000 bytes"):
        wire.pack(wire.Submit(Request(1, (Message("user", "x" * 2000),), Sampling(), "chat")))
