from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.inference.types import (
    Admitted,
    Chunk,
    EngineStatus,
    Failure,
    GenerateRequest,
    Likelihood,
    LoglikelihoodRequest,
    LoglikelihoodResult,
    Progress,
    Sampling,
    Tokenized,
)
from workbench.inference.worker import frames, protocol
from workbench.inference.worker.frames import FrameError, TornFrameError
from workbench.models.reference import Model, ModelInfo
from workbench.prompting.context_fit import Budget
from workbench.prompting.prompt import Message

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
NUMBER = st.integers(0, 2**40)
REQUESTS = st.builds(
    GenerateRequest,
    NUMBER,
    st.tuples(st.builds(Message, st.sampled_from(["system", "user", "assistant"]), TEXT)),
    st.builds(Sampling, st.floats(0, 2), stop=st.tuples(TEXT), logit_bias=st.dictionaries(TEXT, st.floats(-9, 9))),
)
COMMANDS = st.one_of(
    st.builds(protocol.LoadModel, st.builds(Model, TEXT, st.just(Path("/a/ü.gguf")), chat_template=st.none() | TEXT)),
    st.builds(protocol.SubmitGenerate, REQUESTS),
    st.builds(protocol.CancelRequest, NUMBER),
    st.builds(protocol.Tokenize, NUMBER, REQUESTS),
    st.builds(protocol.FitPrompt, NUMBER, REQUESTS),
    st.builds(
        protocol.SubmitLoglikelihood,
        st.builds(LoglikelihoodRequest, NUMBER, st.just(()), st.tuples(TEXT, TEXT), priority=st.integers(0, 1)),
    ),
)
BUDGETS = st.builds(Budget, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, st.dictionaries(TEXT, NUMBER), st.tuples(TEXT))
EVENTS = st.one_of(
    st.builds(Admitted, NUMBER, BUDGETS),
    st.builds(Progress, NUMBER, st.sampled_from(["loading", "queued", "running"]), st.none() | st.floats(0, 1)),
    st.builds(Chunk, NUMBER, TEXT, st.booleans(), stop_reason=st.none() | st.just("eos")),
    st.builds(Failure, NUMBER, TEXT, TEXT, TEXT),
    st.builds(
        LoglikelihoodResult, NUMBER, st.tuples(st.builds(Likelihood, st.floats(-99, 0), NUMBER, NUMBER, st.booleans()))
    ),
)
REPLIES = st.one_of(
    st.builds(protocol.LoadingProgress, st.none() | st.floats(0, 1)),
    st.just(protocol.ModelLoaded(ModelInfo("llama", "Q8_0", 1, 2, 3, 4, True))),
    st.builds(protocol.EngineEvents, st.tuples(EVENTS, EVENTS)),
    st.builds(
        protocol.StatusReport, st.builds(EngineStatus, st.floats(0, 9), bandwidth_share=st.none() | st.floats(0, 1))
    ),
    st.builds(protocol.PromptFitted, NUMBER, BUDGETS),
    st.builds(protocol.TokenizeResult, NUMBER, st.just(Tokenized("ab", (1, 2), ("a", "b")))),
    st.builds(protocol.CommandFailed, st.none() | NUMBER, TEXT, TEXT, TEXT),
)


@given(st.lists(COMMANDS, max_size=4))
def test_commands_come_out_as_they_went_in(commands: list[protocol.Command]) -> None:
    stream = io.BytesIO(b"".join(map(protocol.ENGINE_REPLIES.pack, commands)))
    assert list(protocol.ENGINE_COMMANDS.read(stream)) == commands


@given(st.lists(REPLIES, max_size=4))
def test_replies_come_out_as_they_went_in(replies: list[protocol.Reply]) -> None:
    stream = io.BytesIO(b"".join(map(protocol.ENGINE_COMMANDS.pack, replies)))
    assert list(protocol.ENGINE_REPLIES.read(stream)) == replies


@given(st.binary(max_size=64))
def test_noise_is_an_error_and_never_a_frame(noise: bytes) -> None:
    try:
        assert list(protocol.ENGINE_REPLIES.read(io.BytesIO(noise))) == []
    except FrameError:
        return
    assert noise == b""


@given(REPLIES, st.data())
def test_a_frame_cut_short_is_an_error(reply: protocol.Reply, data: st.DataObject) -> None:
    frame = protocol.ENGINE_COMMANDS.pack(reply)
    cut = data.draw(st.integers(1, len(frame) - 1))
    with pytest.raises(TornFrameError):
        list(protocol.ENGINE_REPLIES.read(io.BytesIO(frame[:cut])))


def test_a_command_is_not_taken_for_a_reply() -> None:
    with pytest.raises(FrameError, match="a value of the protocol"):
        list(protocol.ENGINE_REPLIES.read(io.BytesIO(protocol.ENGINE_REPLIES.pack(protocol.CancelRequest(1)))))


def test_an_absurd_length_is_refused_without_reading_on() -> None:
    with pytest.raises(FrameError, match="a frame's length"):
        list(protocol.ENGINE_REPLIES.read(io.BytesIO(b"\xff\xff\xff\xff")))


@pytest.mark.parametrize("size", [10_000, 5_000_000])
def test_what_an_engine_says_of_a_failure_is_cut_and_says_so(size: int) -> None:
    long = "x" * size
    refused = protocol.CommandFailed(None, long, long, long)
    events = protocol.EngineEvents((Chunk(1, long), Failure(1, long, long, long)))
    (reply,) = protocol.ENGINE_REPLIES.read(io.BytesIO(protocol.ENGINE_COMMANDS.pack(refused)))
    (told,) = protocol.ENGINE_REPLIES.read(io.BytesIO(protocol.ENGINE_COMMANDS.pack(events)))
    assert isinstance(reply, protocol.CommandFailed)
    assert isinstance(told, protocol.EngineEvents)
    for one in (reply, told.events[1]):
        assert isinstance(one, (protocol.CommandFailed, Failure))
        assert len(one.message) < 4_100
        assert one.message.endswith(f"[cut: {size:,} characters in all]")
        assert len(one.hint) < 4_100
        assert len(one.details) < 40_100
    assert told.events[0] == Chunk(1, long)  # an answer is never cut


def test_half_characters_in_a_failure_are_escaped() -> None:
    (reply,) = protocol.ENGINE_REPLIES.read(
        io.BytesIO(protocol.ENGINE_COMMANDS.pack(protocol.CommandFailed(3, "\udcff.gguf is torn")))
    )
    assert reply == protocol.CommandFailed(3, "\\udcff.gguf is torn")


@pytest.mark.parametrize("name", [b"/a/\xff.gguf", "/a/ü.gguf".encode(), b"/a/\xc3\x28/\x80"])
def test_a_path_is_the_same_on_the_other_side_whatever_its_bytes(name: bytes) -> None:
    opened = protocol.LoadModel(Model("m", Path(os.fsdecode(name))))
    assert list(protocol.ENGINE_COMMANDS.read(io.BytesIO(protocol.ENGINE_REPLIES.pack(opened)))) == [opened]


def test_a_frame_that_is_too_long_is_refused_before_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MAX_FRAME_BYTES", 1000)
    with pytest.raises(FrameError, match="at most 1,000 bytes"):
        protocol.ENGINE_REPLIES.pack(
            protocol.SubmitGenerate(GenerateRequest(1, (Message("user", "x" * 2000),), Sampling(), "chat"))
        )
