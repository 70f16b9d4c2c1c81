"""Rows apart from any model: how they end, and what that says."""

from __future__ import annotations

import pytest

from workbench.errors import EngineError
from workbench.inference.chunk_builder import ChunkBuilder
from workbench.inference.scheduling.sequences import SequenceQueue, SequenceState
from workbench.inference.types import Chunk, Event, Failure, GenerateRequest, Sampling
from workbench.inference.vocabulary import Vocabulary

END = 0


class LetterPrompts(Vocabulary):
    """A token is a letter's code point; 0 ends an answer."""

    def __init__(self) -> None:
        super().__init__(128, None, END, {END: "<end>"}, False)

    def tokenize(self, text: str, special: bool) -> list[int]:
        return list(text.encode())

    def token_to_bytes(self, token: int) -> bytes:
        return bytes((token,))

    def ends(self, token: int) -> bool:
        return token == END


class SequenceHarness:
    """Rows of four tokens' context, and what was released."""

    def __init__(self) -> None:
        self.released: list[tuple[int, bool]] = []
        self.rows = SequenceQueue(LetterPrompts(), 4, lambda: 0.0, self._release)

    def start(self, number: int = 1, priority: int = 0, **sampling: object) -> SequenceState:
        request = GenerateRequest(number, (), Sampling(**sampling), priority=priority)
        row = SequenceState(ChunkBuilder(request, [65, 66], 0.0, request.sampling.stop, None))
        self.rows.running.append(row)
        row.advance(2)
        return row

    def _release(self, row: SequenceState, failed: bool) -> None:
        self.released.append((row.id, failed))
        (self.rows.running if row in self.rows.running else self.rows.waiting).remove(row)


def write(desk: SequenceHarness, row: SequenceState, text: bytes) -> list[Event]:
    """What comes of the tokens, each evaluated before the next, until the row ends."""
    events: list[Event] = []
    for token in text:
        if row in desk.rows.running:
            row.advance(len(row.pending))
            events += desk.rows.write(row, token)
    return events


@pytest.mark.parametrize(
    ("sampling", "written", "reason", "text"),
    [
        ({}, b"x\0", "eos", "x"),
        ({"stop": ("y",)}, b"xyz", "stop", "x"),
        ({"max_tokens": 1}, b"xyz", "length", "x"),
        ({}, b"xyz", "context", "xy"),
    ],
)
def test_a_row_ends_for_one_reason_and_gives_its_place_back(
    sampling: dict[str, object], written: bytes, reason: str, text: str
) -> None:
    desk = SequenceHarness()
    chunks = [event for event in write(desk, desk.start(**sampling), written) if isinstance(event, Chunk)]
    assert [chunk.stop_reason for chunk in chunks if chunk.stop_reason] == [reason]
    assert "".join(chunk.text for chunk in chunks) == text
    assert desk.released == [(1, False)]


def test_a_row_that_goes_on_has_its_token_to_evaluate() -> None:
    desk = SequenceHarness()
    row = desk.start()
    assert not row.decoding
    write(desk, row, b"x")
    assert row.decoding
    assert (row.position, row.pending) == (2, [ord("x")])


def test_a_cancel_ends_the_row_it_names_whether_it_waits_or_runs() -> None:
    desk = SequenceHarness()
    for number in (1, 2, 3):
        desk.start(number)
    desk.rows.waiting.append(desk.rows.running.pop())
    for number in (1, 3, 99):
        desk.rows.cancel(number)
    ended = [(event.request, event.stop_reason) for event in desk.rows.end_cancelled() if isinstance(event, Chunk)]
    assert ended == [(1, "cancelled"), (3, "cancelled")]
    assert [row.id for row in desk.rows.all] == [2]


def test_a_row_that_fails_says_why_and_is_released_as_spoiled() -> None:
    desk = SequenceHarness()
    assert desk.rows.fail(desk.start(), EngineError("It broke.", "Mend it.")) == [Failure(1, "It broke.", "Mend it.")]
    assert desk.released == [(1, True)]


def test_only_rows_that_run_are_looked_on_at_and_those_that_wait_are_work_too() -> None:
    desk = SequenceHarness()
    assert (desk.rows.busy, desk.rows.interactive, desk.rows.sizes) == (False, False, (0, 0))
    desk.start(1, priority=1)
    desk.start(2, priority=0)
    assert (desk.rows.busy, desk.rows.interactive, desk.rows.sizes) == (True, True, (2, 0))
    desk.rows.waiting.append(desk.rows.running.pop())
    assert (desk.rows.busy, desk.rows.interactive, desk.rows.sizes) == (True, False, (1, 1))
    desk.rows.running.clear()
    assert (desk.rows.busy, desk.rows.interactive, desk.rows.sizes) == (True, False, (0, 1))
