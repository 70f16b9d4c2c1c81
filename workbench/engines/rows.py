"""The rows of one scheduler: who waits, who runs, and how a token that was chosen lets its row go on or end.

Knows nothing of batches, caches or how tokens are chosen (the schedulers).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from workbench.engines.answer import Answer
from workbench.engines.engine import Event, Failure, StopReason
from workbench.engines.vocabulary import Vocabulary
from workbench.errors import EngineError


def is_free(answer: Answer, vocabulary: Vocabulary, token: int) -> bool:
    """Whether a token belongs to reasoning or opens it, to which a schema or grammar of the answer does not apply.

    Reasoning that the model would end its turn in is closed, so that the answer comes all the same.
    """
    framed = vocabulary.frames(token)
    if answer.reasons and vocabulary.ends(token) and not framed:
        answer.close_reasoning()
        return False
    return answer.reasons or answer.may_open(vocabulary.text(token), framed)


class Row:
    """A request under way. position: where its next token belongs. pending: tokens that are not evaluated yet."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.position = 0
        self.pending = list(answer.prompt)
        self.cancelled = False

    @property
    def id(self) -> int:
        return self.answer.request.id

    @property
    def priority(self) -> int:
        return self.answer.request.priority

    @property
    def writing(self) -> bool:
        return self.answer.output_tokens > 0

    def advance(self, count: int) -> None:
        """The first `count` pending tokens are evaluated."""
        self.position += count
        self.pending = self.pending[count:]


SomeRow = TypeVar("SomeRow", bound=Row)


class Rows(Generic[SomeRow]):
    """Rows that are `waiting` for a place, and those that are `running`.

    context_tokens: the longest one row may become. release: takes a row out of either, and its place back; it is told
    whether the row failed.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        context_tokens: int,
        clock: Callable[[], float],
        release: Callable[[SomeRow, bool], None],
    ) -> None:
        self.waiting: deque[SomeRow] = deque()
        self.running: list[SomeRow] = []
        self._vocabulary = vocabulary
        self._context_tokens = context_tokens
        self._clock = clock
        self._release = release

    @property
    def all(self) -> tuple[SomeRow, ...]:
        return (*self.running, *self.waiting)

    @property
    def busy(self) -> bool:
        return bool(self.running or self.waiting)

    @property
    def watched(self) -> bool:
        """Whether someone looks on at a row that runs."""
        return any(row.priority == 0 for row in self.running)

    @property
    def sizes(self) -> tuple[int, int]:
        """How many rows run, and how many wait."""
        return len(self.running), len(self.waiting)

    def cancel(self, request_id: int) -> None:
        for row in self.all:
            if row.id == request_id:
                row.cancelled = True

    def end_cancelled(self) -> list[Event]:
        return [event for row in self.all if row.cancelled for event in self._end(row, "cancelled")]

    def write(self, row: SomeRow, token: int) -> list[Event]:
        """Take a row's next token, which ends it or is to be evaluated next."""
        answer, vocabulary = row.answer, self._vocabulary
        framed = answer.framing and vocabulary.frames(token)
        if vocabulary.ends(token) and not (framed and answer.reasons):
            return self._end(row, "eos")
        if not framed and (control := vocabulary.control_text(token)) and answer.stops_at(control):
            return self._end(row, "stop")
        piece = vocabulary.framed_piece(token) if framed else vocabulary.piece(token)
        events: list[Event] = list(answer.add(piece, self._clock()))
        row.pending = [token]
        if answer.stopped:
            return events + self._end(row, "stop")
        if answer.output_tokens >= answer.request.sampling.max_tokens:
            return events + self._end(row, "length")
        if row.position + 1 >= self._context_tokens:
            return events + self._end(row, "context")
        return events

    def fail(self, row: SomeRow, error: EngineError) -> list[Event]:
        self._release(row, True)
        return [Failure(row.id, error.message, error.hint, error.details)]

    def clear(self) -> None:
        self.waiting.clear()
        self.running.clear()

    def _end(self, row: SomeRow, reason: StopReason) -> list[Event]:
        self._release(row, False)
        return list(row.answer.end(reason, self._clock()))
