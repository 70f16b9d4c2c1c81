"""Attempt: one cell on its way, from the question to the scores.

Knows nothing of other cells, of the order in which they run, or of where they are kept. Nothing here waits: whatever
comes, comes as a message on the run's own thread, and `take` goes on with it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

import msgspec

from workbench.engines.engine import Chunk, Completion, Event, Failure, Likelihood, fold
from workbench.errors import EngineError, WorkbenchError
from workbench.evaluation.cell import Cell
from workbench.evaluation.cost import price_answer
from workbench.evaluation.fitting import fit_messages
from workbench.evaluation.lane import Job, Lane
from workbench.evaluation.launch import Draft, enabled_examples
from workbench.evaluation.provenance import Provenance, digest_question
from workbench.evaluation.record import read_answer, write_answer
from workbench.evaluation.replies import ReplyLibrary
from workbench.evaluation.scorers import Ask, Question, Reply, Score, Weigh
from workbench.evaluation.scoring import Scoring
from workbench.hosting.pool import Pool, Ticket
from workbench.prompting.prompt import Message
from workbench.prompting.render import render
from workbench.store.cells import Answer, find_answer
from workbench.store.store import Store

PRIORITY = 1
"""behind the live panes"""


class Tools(NamedTuple):
    """What every cell of a run works with. cache: whether to take answers that are known already."""

    pool: Pool
    store: Store
    scoring: Scoring
    cache: bool
    library: ReplyLibrary


class Fitted(NamedTuple):
    """The messages to send, after the strategy had its say."""

    future: Future[tuple[Message, ...]]


class Heard(NamedTuple):
    """A piece of the reply to one of the scorers' questions."""

    question: int
    said: Event | Future[tuple[Likelihood, ...]]


class Scored(NamedTuple):
    """The scores."""

    future: Future[tuple[Score, ...]]


Said = Event | Fitted | Heard | Scored


class Attempt:
    """See the module. post: puts a message into the run's queue, from any thread."""

    def __init__(self, job: Job, lane: Lane, tools: Tools, post: Callable[[Attempt, Said], None]) -> None:
        self.job = job
        self.lane = lane
        self.done = False
        self.cell: Cell | None = None
        self.answer = Answer()
        self._tools = tools
        self._post = post
        self._chunks: list[Chunk] = []
        self._tickets: list[Ticket] = []
        self._draft: Draft | None = None
        self._whole: tuple[Message, ...] = ()
        self._messages: tuple[Message, ...] | None = None
        self._digest: bytes | None = None
        self._completion: Completion | None = None
        self._cached = False
        self._charged: float | None = None
        self._questions: tuple[Question, ...] = ()
        self._replies: dict[int, Reply] = {}
        self._heard: dict[int, list[Chunk]] = {}
        self._asked: dict[int, bytes | None] = {}
        self.learned: list[tuple[bytes, str]] = []

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
        for ticket in self._tickets:
            ticket.cancel()

    def take(self, said: Said) -> str:
        """Go on with what came; the text that came with it."""
        if self.done:
            return ""
        match said:
            case Fitted(future):
                self._send(future)
            case Heard(question, reply):
                self._hear(question, reply)
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

    def _begin(self, own: Provenance) -> None:
        self._draft = own.draft(self.job.case, self.job.repeat)
        self._whole = render_cell(own, self.job)
        if not self._tools.scoring.needs_answer:
            self._answered(Completion())
            return
        self._digest = digest_cell(own, self.job, self._draft, self._whole)
        known = find_answer(self._tools.store, self._digest) if self._digest and self._tools.cache else None
        if known:
            self.answer, self._cached = known, True
            self._answered(read_answer(known))
        else:
            self._fit()

    def _fit(self) -> None:
        assert self._draft is not None
        fitting = fit_messages(self._tools.pool, self._draft, self._whole)
        fitting.add_done_callback(lambda future: self._post(self, Fitted(future)))

    def _send(self, future: Future[tuple[Message, ...]]) -> None:
        own = self._provenance
        try:
            self._messages = future.result()
            if self._completion is not None:  # known already: the messages were wanted for a scorer's question
                self._ask()
                return
            self._charged = self.lane.meter.begin()
            assert self._draft is not None
            self._tickets.append(
                self._tools.pool.submit(
                    own.base,
                    self._messages,
                    self._draft.sampling,
                    own.prompt.mode,
                    lambda event: self._post(self, event),
                    own.applied,
                    priority=PRIORITY,
                )
            )
        except WorkbenchError as error:
            if self._tools.pool.info(own.base) is None:
                self.lane.broken = error  # it could not be loaded: the other cells need not try
            self._fail(error)

    def _answered(self, completion: Completion) -> None:
        self._completion = completion
        share = self._stop_meter()
        if not self._cached:
            kept = self._digest is not None and completion.stop_reason in ("eos", "stop", "length")
            self.answer = write_answer(completion, self._digest, kept, share)
        self._questions = self._tools.scoring.questions(completion.text, self.job.case)
        if any(isinstance(question, Weigh) for question in self._questions) and self._messages is None:
            self._fit()
        else:
            self._ask()

    def _ask(self) -> None:
        for number, question in enumerate(self._questions):
            try:
                self._put(number, question)
            except WorkbenchError as error:
                self._replies[number] = Reply(problem=error.message)
        self._score()

    def _put(self, number: int, question: Question) -> None:
        """Ask a scorer's question, unless its reply is known."""
        library, own = self._tools.library, self._provenance
        digest = library.digest(question, own, self._messages or ())
        self._asked[number] = digest
        known = library.find(digest) if self._tools.cache else None
        if known:
            self._replies[number] = known
        elif isinstance(question, Ask):
            self._ask_model(number, question)
        else:
            assert self._messages is not None
            weighing = self._tools.pool.weigh(
                own.base, self._messages, question.answers, own.prompt.mode, own.applied, priority=PRIORITY
            )
            weighing.add_done_callback(lambda future: self._post(self, Heard(number, future)))

    def _ask_model(self, number: int, question: Ask) -> None:
        model = self._tools.library.find_model(question.model)
        self._heard[number] = []
        self._tickets.append(
            self._tools.pool.submit(
                model,
                question.messages,
                question.sampling,
                question.mode,
                lambda event: self._post(self, Heard(number, event)),
                priority=PRIORITY,
            )
        )

    def _hear(self, number: int, said: Event | Future[tuple[Likelihood, ...]]) -> None:
        match said:
            case Future():
                self._reply(number, _read(said))
            case Failure():
                question = self._questions[number]
                if isinstance(question, Ask):
                    self._tools.library.note_failure(question.model, said.message)
                self._reply(number, Reply(problem=said.message))
            case Chunk():
                self._heard[number].append(said)
                if said.stop_reason is not None:
                    self._reply(number, Reply(completion=fold(self._heard.pop(number))))
        self._score()

    def _reply(self, number: int, reply: Reply) -> None:
        self._replies[number] = reply
        digest = self._asked[number]
        if digest and not reply.problem:
            self.learned.append((digest, msgspec.json.encode(reply).decode()))

    def _score(self) -> None:
        if len(self._replies) < len(self._questions):
            return
        if not self._tools.scoring.needs_answer and self._questions and not self.learned:
            self._cached = all(not reply.problem for reply in self._replies.values())
        assert self._completion is not None
        replies = [self._replies[number] for number in range(len(self._questions))]
        price = self.job.column.price
        scoring = self._tools.scoring.score(
            self._completion.text,
            self.job.case,
            replies,
            self._completion,
            self._cost if price else None,
            self._cached,
        )
        scoring.add_done_callback(lambda future: self._post(self, Scored(future)))

    @property
    def _cost(self) -> float:
        return price_answer(self.job.column.price, self._completion or Completion(), self.answer.share_seconds)

    def _finish(self, scores: tuple[Score, ...]) -> None:
        self._end(scores=scores)

    def _fail(self, error: WorkbenchError | None) -> None:
        told = error or EngineError("It failed without a word.", "Run it again.")
        completion = self._completion or Completion()
        self._completion = msgspec.structs.replace(completion, stop_reason="error")
        self.answer = write_answer(self._completion, self._digest, False, self._stop_meter())
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
            prompt_digest=self._digest.hex() if self._digest else "",
            **outcome,
        )
        self.done = True

    def _stop_meter(self) -> float:
        if self._charged is None:
            return 0.0
        share, self._charged = self.lane.meter.end(self._charged), None
        return share


def render_cell(own: Provenance, job: Job) -> tuple[Message, ...]:
    """A cell's conversation with all its examples. Raises PromptError."""
    return render(own.prompt, job.case.variables, enabled_examples(own.variant, own.prompt))


def digest_cell(own: Provenance, job: Job, draft: Draft, whole: tuple[Message, ...]) -> bytes | None:
    """A fingerprint of everything that determines a cell's answer; None where chance does. whole: as rendered."""
    drops = own.strategy == "drop" and own.prompt.placement != "none"
    # what is dropped depends on where each example ends, and on the room there is
    extra = f"drop {own.base.context_tokens} {sorted(draft.examples_off)} {own.prompt}" if drops else ""
    return digest_question(
        own.model, own.adapters, whole, own.prompt.mode, draft.sampling, own.engine, job.repeat, extra
    )


def _read(future: Future[tuple[Likelihood, ...]]) -> Reply:
    try:
        return Reply(likelihoods=future.result())
    except WorkbenchError as error:
        return Reply(problem=error.message)
