"""Attempt: one cell on its way, from the question to the scores.

Knows nothing of other cells, of the order in which they run, or of where they are kept. Nothing here waits: whatever
comes, comes as a message on the run's own thread, and `take` goes on with it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

import msgspec

from workbench.engines.engine import Chunk, Completion, Event, Failure, Sampling, fold
from workbench.errors import EngineError, WorkbenchError
from workbench.evaluation.answer_cache import AnswerKeys, find_known
from workbench.evaluation.cell import Cell
from workbench.evaluation.cost import price_answer
from workbench.evaluation.fitting import fit_messages
from workbench.evaluation.hearing import PRIORITY, Heard, Hearing
from workbench.evaluation.lane import Job, Lane
from workbench.evaluation.launch import Draft, FittedPrompt, add_notes, enabled_examples
from workbench.evaluation.provenance import Provenance, digest_question
from workbench.evaluation.record import read_answer, write_answer
from workbench.evaluation.replies import ReplyLibrary
from workbench.evaluation.scorers import Question, Score, Weigh
from workbench.evaluation.scoring import Scoring
from workbench.hosting.pool import Pool, Ticket
from workbench.prompting.prompt import Message
from workbench.prompting.render import render
from workbench.store.cells import Answer, CellRecord
from workbench.store.store import Store


class Tools(NamedTuple):
    """What every cell of a run works with. cache: whether to take answers that are known already. find_unscored: the
    cell of an earlier attempt that has its answer, and only lacks scores."""

    pool: Pool
    store: Store
    scoring: Scoring
    cache: bool
    library: ReplyLibrary
    find_unscored: Callable[[Job], CellRecord | None]


class Fitted(NamedTuple):
    """The messages to send, after the strategy had its say."""

    future: Future[FittedPrompt]


class Scored(NamedTuple):
    """The scores."""

    future: Future[tuple[Score, ...]]


Said = Event | Fitted | Heard | Scored


class Attempt:
    """See the module. post: puts a message into the run's queue, from any thread.

    spent_seconds: its part of the time that the lane's cells took side by side, once it is done. scored_again: its
    answer was there already, and only scores were wanting.
    """

    def __init__(self, job: Job, lane: Lane, tools: Tools, post: Callable[[Attempt, Said], None]) -> None:
        self.job = job
        self.lane = lane
        self.done = False
        self.cell: Cell | None = None
        self.answer = Answer()
        self.spent_seconds = 0.0
        self.scored_again = False
        self._begun = lane.clock.begin()
        self._tools = tools
        self._post = post
        self._chunks: list[Chunk] = []
        self._ticket: Ticket | None = None
        self._draft: Draft | None = None
        self._whole: tuple[Message, ...] = ()
        self._messages: tuple[Message, ...] | None = None
        self._keys: AnswerKeys | None = None
        self._completion: Completion | None = None
        self._cached = False
        self._charged: float | None = None
        self._questions: tuple[Question, ...] = ()
        self._hearing: Hearing | None = None

    def start(self) -> None:
        """Begin; a cell that cannot run at all is done at once."""
        column = self.job.column
        try:
            if column.error or self.lane.broken:
                self._fail(column.error or self.lane.broken)
            else:
                self._begin(self._provenance)
        except WorkbenchError as error:
            self._fail(error)

    def cancel(self) -> None:
        """Call it off; its outcome is of no interest any more."""
        self.done = True
        for under_way in (self._ticket, self._hearing):
            if under_way:
                under_way.cancel()

    @property
    def learned(self) -> list[tuple[bytes, str]]:
        """Digest and text of replies to the scorers' questions that were not known before."""
        return self._hearing.learned if self._hearing else []

    def take(self, said: Said) -> str:
        """Go on with what came; the text that came with it."""
        if self.done:
            return ""
        match said:
            case Fitted(future):
                self._send(future)
            case Heard() if self._hearing:
                self._hearing.take(said)
                self._score()
            case Scored(future):
                self._finish(future.result())
            case Failure():
                self._completion = fold(self._chunks)
                self._fail(EngineError(said.message, said.hint, said.details))
            case Chunk():
                self._chunks.append(said)
                if said.stop_reason is not None:
                    self._answered(fold(self._chunks))
                return said.text
        return ""

    @property
    def _provenance(self) -> Provenance:
        assert self.job.column.provenance is not None
        return self.job.column.provenance

    @property
    def _limited(self) -> bytes | None:
        return self._keys.limited if self._keys else None

    def _begin(self, own: Provenance) -> None:
        self._draft = own.draft(self.job.case, self.job.repeat)
        self._whole = render_cell(own, self.job)
        if not self._tools.scoring.needs_answer:
            self._answered(Completion())
            return
        self._keys = digest_cell(own, self.job, self._draft, self._whole)
        if before := self._tools.find_unscored(self.job):
            self.answer, self._cached, self.scored_again = before.answer, before.cached, True
            self._answered(read_answer(before.answer))
            return
        known = find_known(self._tools.store, self._keys) if self._keys and self._tools.cache else None
        if known:
            self.answer, self._cached = known, True
            self._answered(read_answer(known))
        else:
            self._fit()

    def _fit(self) -> None:
        assert self._draft is not None
        fitting = fit_messages(self._tools.pool, self._draft, self._whole)
        fitting.add_done_callback(lambda future: self._post(self, Fitted(future)))

    def _send(self, future: Future[FittedPrompt]) -> None:
        own = self._provenance
        try:
            self._messages, notes = future.result()
            if self._completion is not None:  # known already: the messages were wanted for a scorer's question
                self._hear()
                return
            self._charged = self.lane.meter.begin()
            assert self._draft is not None
            self._ticket = self._tools.pool.submit(
                own.base,
                self._messages,
                self._draft.sampling,
                own.prompt.mode,
                add_notes(lambda event: self._post(self, event), notes),
                own.applied,
                priority=PRIORITY,
                reproducible=self._draft.reproducible or None,
            )
        except WorkbenchError as error:
            if self._tools.pool.info(own.base) is None:
                self.lane.broken = error  # it could not be loaded: the other cells need not try
            self._fail(error)

    def _answered(self, completion: Completion) -> None:
        self._completion = completion
        share = self._stop_meter()
        if not self._cached and not self.scored_again:
            key = self._keys.keep(completion.stop_reason) if self._keys else None
            self.answer = write_answer(completion, key or self._limited, key is not None, share)
        self._questions = self._tools.scoring.questions(completion.text, self.job.case)
        if any(isinstance(question, Weigh) for question in self._questions) and self._messages is None:
            self._fit()
        else:
            self._hear()

    def _hear(self) -> None:
        """Let the scorers ask what they want to know of the answer."""
        tools = self._tools
        self._hearing = Hearing(
            self._questions,
            self._provenance,
            self._messages or (),
            tools.library,
            lambda heard: self._post(self, heard),
        )
        self._hearing.open(tools.pool, tools.cache)
        self._score()

    def _score(self) -> None:
        """Judge, once every question has its reply."""
        assert self._completion is not None
        assert self._hearing is not None
        replies = self._hearing.replies
        if replies is None:
            return
        scoring = self._tools.scoring
        if not scoring.needs_answer:
            self._cached = bool(replies) and self._hearing.known
        cost = self._cost if self.job.column.price else None
        done = self._completion
        judging = scoring.score(done.text, self.job.case, replies, done, cost, self._cached)
        judging.add_done_callback(lambda future: self._post(self, Scored(future)))

    @property
    def _cost(self) -> float:
        return price_answer(self.job.column.price, self._completion or Completion(), self.answer.share_seconds)

    def _finish(self, scores: tuple[Score, ...]) -> None:
        self._end(scores=scores)

    def _fail(self, error: WorkbenchError | None) -> None:
        told = error or EngineError("It failed without a word.", "Run it again.")
        completion = self._completion or Completion()
        self._completion = msgspec.structs.replace(completion, stop_reason="error")
        self.answer = write_answer(self._completion, self._limited, False, self._stop_meter())
        self._end(error=told.message or "It failed without a word.", hint=told.hint)

    def _end(self, **outcome: Any) -> None:
        job = self.job
        self.cell = Cell(
            job.column.variant.name,
            job.case.number,
            self._completion or Completion(),
            repeat=job.repeat,
            cached=self._cached,
            cost=self._cost,
            prompt_digest=self.answer.digest.hex() if self.answer.digest else "",
            **outcome,
        )
        self.spent_seconds = self.lane.clock.end(self._begun)
        self.done = True

    def _stop_meter(self) -> float:
        if self._charged is None:
            return 0.0
        share, self._charged = self.lane.meter.end(self._charged), None
        return share


def render_cell(own: Provenance, job: Job) -> tuple[Message, ...]:
    """A cell's conversation with all its examples. Raises PromptError."""
    return render(own.prompt, job.case.values, enabled_examples(own.variant, own.prompt))


def digest_cell(own: Provenance, job: Job, draft: Draft, whole: tuple[Message, ...]) -> AnswerKeys | None:
    """The keys of a cell's answer; None where chance determines it. whole: the conversation as rendered."""
    drops = own.strategy == "drop" and own.prompt.placement != "none"
    # what is dropped depends on where each example ends, and on the room there is
    extra = f"drop {own.base.context_tokens} {sorted(draft.examples_off)} {own.prompt}" if drops else ""
    alone = " reproducible" if draft.reproducible else ""

    def digest(sampling: Sampling, more: str = "") -> bytes | None:
        told = extra + alone + more
        return digest_question(own.model, own.adapters, whole, own.prompt.mode, sampling, own.engine, job.repeat, told)

    limited = digest(draft.sampling)
    # With `drop`, the limit decides which examples there is room for.
    unlimited = msgspec.structs.replace(draft.sampling, max_tokens=1)
    complete = limited if drops else digest(unlimited, " complete")
    return AnswerKeys(complete, limited, draft.sampling.max_tokens) if complete and limited else None
