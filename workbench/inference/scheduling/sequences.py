"""The sequences of one scheduler: who waits, who runs, and how a token that was chosen lets one go on or end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from workbench.errors import EngineError
from workbench.inference.chunk_builder import ChunkBuilder
from workbench.inference.picture_tokens import PictureSpan
from workbench.inference.sampler import Sampler
from workbench.inference.scheduling.backend import SavedState
from workbench.inference.types import Event, Failure, State, StopReason
from workbench.inference.vocabulary import Vocabulary


def is_free(chunks: ChunkBuilder, vocabulary: Vocabulary, token: int) -> bool:
    """Whether a token belongs to reasoning or opens it, to which a schema or grammar of the answer does not apply.

    Reasoning that the model would end its turn in is closed, so that the answer comes all the same.
    """
    framed = vocabulary.frames(token)
    if chunks.reasons and vocabulary.ends(token) and not framed:
        chunks.close_reasoning()
        return False
    return chunks.reasons or chunks.may_open(vocabulary.text(token), framed)


class SequenceState:
    """A request under way in one slot.

    adapters: what it runs on, in the backend's own form. key: what its values are right for; sequences of another key
    share nothing with it.
    position: where its next token belongs, behind the `offset` positions that adapters take. pending: tokens that are
    not evaluated yet. reserved: KV cache that it may need beyond its prompt's. started: its last prompt logits have
    come. swapped: its state while it had to leave its slot. pictures: where they stand in its prompt.
    """

    def __init__(
        self,
        chunks: ChunkBuilder,
        sampler: Sampler | None = None,
        adapters: Any = None,
        key: Hashable = None,
        pictures: Sequence[PictureSpan] = (),
    ) -> None:
        self.chunks = chunks
        self.sampler = sampler or Sampler(chunks.request.sampling)
        self.adapters = adapters
        self.key = key
        self.pictures = tuple(pictures)
        self.position = 0
        self.offset = 0
        self.pending = list(chunks.prompt)
        self.order = 0
        self.slot = -1
        self.reserved = 0
        self.started = False
        self.cancelled = False
        self.state: State = "queued"
        self.swapped: SavedState | None = None

    @property
    def id(self) -> int:
        return self.chunks.request.id

    @property
    def prompt(self) -> list[int]:
        return self.chunks.prompt

    @property
    def priority(self) -> int:
        return self.chunks.request.priority

    @property
    def interactive(self) -> bool:
        return self.chunks.request.priority == 0

    @property
    def deterministic(self) -> bool:
        return self.chunks.request.deterministic

    @property
    def greedy(self) -> bool:
        """Whether nothing but the likeliest token is asked of the model. Not in deterministic mode: where two logits
        are equal, a device may pick the other one."""
        request = self.chunks.request
        return self.sampler.plain and not request.top_logprobs and not request.deterministic

    @property
    def decoding(self) -> bool:
        return self.chunks.output_tokens > 0

    @property
    def prefilling(self) -> bool:
        """Whether its prompt is not evaluated wholly."""
        return not self.decoding and bool(self.pending)

    @property
    def seen(self) -> int:
        """Tokens of its own that are evaluated."""
        return self.position - self.offset

    @property
    def wanted(self) -> int:
        """KV cache that it may need beyond its prompt's."""
        return self.chunks.request.sampling.max_tokens

    def advance(self, count: int) -> None:
        """The first `count` pending tokens are evaluated."""
        self.position += count
        self.pending = self.pending[count:]

    def limit(self, tokens: int) -> tuple[int, PictureSpan | None]:
        """How many of the next `tokens` prompt tokens one run can hold: text up to the next picture, or a picture's
        positions, all of them, with where that stands."""
        for span in self.pictures:
            if span.start == self.seen:
                return span.end - span.start, span
            if span.start > self.seen:
                return min(tokens, span.start - self.seen), None
        return tokens, None

    def step_back(self) -> None:
        """The prompt's last token is to be evaluated again."""
        self.position -= 1
        self.pending = self.prompt[-1:]
        self.chunks.cached_tokens -= 1


class SequenceQueue:
    """Sequences that are `waiting` for a slot, and those that are `running`.

    context_tokens: the longest one may become. release: takes a sequence out of either, and its slot back; it is told
    whether the sequence failed.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        context_tokens: int,
        clock: Callable[[], float],
        release: Callable[[SequenceState, bool], None],
    ) -> None:
        self.waiting: deque[SequenceState] = deque()
        self.running: list[SequenceState] = []
        self._vocabulary = vocabulary
        self._context_tokens = context_tokens
        self._clock = clock
        self._release = release
        self._any_cancelled = False

    @property
    def all(self) -> Iterator[SequenceState]:
        yield from self.running
        yield from self.waiting

    @property
    def busy(self) -> bool:
        return bool(self.running or self.waiting)

    @property
    def interactive(self) -> bool:
        """Whether an interactive sequence runs."""
        return any(sequence.interactive for sequence in self.running)

    @property
    def sizes(self) -> tuple[int, int]:
        """How many sequences run, and how many wait."""
        return len(self.running), len(self.waiting)

    def cancel(self, request_id: int) -> None:
        for sequence in self.all:
            if sequence.id == request_id:
                sequence.cancelled = self._any_cancelled = True

    def end_cancelled(self) -> list[Event]:
        if not self._any_cancelled:
            return []
        self._any_cancelled = False
        cancelled = [sequence for sequence in self.all if sequence.cancelled]
        return [event for sequence in cancelled for event in self._end(sequence, "cancelled")]

    def write(self, sequence: SequenceState, token: int) -> list[Event]:
        """Take a sequence's next token, which ends it or is to be evaluated next."""
        chunks, vocabulary = sequence.chunks, self._vocabulary
        framed = chunks.framing and vocabulary.frames(token)
        if vocabulary.ends(token) and not (framed and chunks.reasons):
            return self._end(sequence, "eos")
        if not framed and (control := vocabulary.control_text(token)) and chunks.stops_at(control):
            return self._end(sequence, "stop")
        if chunks.request.tools and not framed:  # many forms of tool calls are made of control tokens
            piece = vocabulary.token_to_bytes(token)
        else:
            piece = vocabulary.framed_piece(token) if framed else vocabulary.piece(token)
        events: list[Event] = list(chunks.add(piece, self._clock()))
        sequence.pending = [token]
        if chunks.stopped:
            return events + self._end(sequence, "stop")
        if sequence.sampler.finished:
            return events + self._end(sequence, "eos")
        if chunks.output_tokens >= chunks.request.sampling.max_tokens:
            return events + self._end(sequence, "length")
        if sequence.position + 1 >= self._context_tokens:
            return events + self._end(sequence, "context")
        return events

    def fail(self, sequence: SequenceState, error: EngineError) -> list[Event]:
        self._release(sequence, True)
        return [Failure(sequence.id, error.message, error.hint, error.details)]

    def clear(self) -> None:
        self.waiting.clear()
        self.running.clear()

    def _end(self, sequence: SequenceState, reason: StopReason) -> list[Event]:
        self._release(sequence, False)
        return list(sequence.chunks.end(reason, self._clock()))
