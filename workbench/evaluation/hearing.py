"""Hearing: the questions that scorers have about one answer, put to models, and the replies gathered.

Knows nothing of scores. Nothing here waits: what models say comes back as messages, which `take` goes on with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import NamedTuple

import msgspec

from workbench.engines.engine import Chunk, Event, Failure, Likelihood, fold
from workbench.engines.limits import loosen
from workbench.errors import WorkbenchError
from workbench.evaluation.provenance import Provenance
from workbench.evaluation.replies import ReplyLibrary
from workbench.evaluation.scorers import Ask, Question, Reply, Weigh
from workbench.hosting.pool import Pool, Ticket
from workbench.prompting.prompt import Message

PRIORITY = 1
"""behind the live panes"""


class Heard(NamedTuple):
    """A piece of the reply to one of the questions, by its place."""

    place: int
    said: Event | Future[tuple[Likelihood, ...]]


class Hearing:
    """See the module. own, messages: of the cell whose answer it is. post: brings a message back, from any thread.

    learned: digest and text of replies that were not known before.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        own: Provenance,
        messages: tuple[Message, ...],
        library: ReplyLibrary,
        post: Callable[[Heard], None],
    ) -> None:
        self.learned: list[tuple[bytes, str]] = []
        self._questions = tuple(questions)
        self._own, self._messages = own, messages
        self._library, self._post = library, post
        self._replies: dict[int, Reply] = {}
        self._chunks: dict[int, list[Chunk]] = {}
        self._digests: dict[int, bytes | None] = {}
        self._tickets: list[Ticket] = []

    @property
    def replies(self) -> tuple[Reply, ...] | None:
        """In the order of the questions; None until all are there."""
        if len(self._replies) < len(self._questions):
            return None
        return tuple(self._replies[place] for place in range(len(self._questions)))

    @property
    def known(self) -> bool:
        """Whether every reply was known before."""
        return not self.learned and all(not reply.problem for reply in self._replies.values())

    def open(self, pool: Pool, cache: bool) -> None:
        """Put the questions. cache: take replies that are known already."""
        for place, question in enumerate(self._questions):
            try:
                self._put(place, question, pool, cache)
            except WorkbenchError as error:
                self._replies[place] = Reply(problem=error.message)

    def take(self, heard: Heard) -> None:
        """Go on with what a model said."""
        place, said = heard
        match said:
            case Future():
                self._reply(place, _read(said))
            case Failure():
                question = self._questions[place]
                if isinstance(question, Ask):
                    self._library.note_failure(question.model, said.message)
                self._reply(place, Reply(problem=said.message))
            case Chunk():
                self._chunks[place].append(said)
                if said.stop_reason is not None:
                    self._reply(place, Reply(completion=fold(self._chunks.pop(place))))

    def cancel(self) -> None:
        for ticket in self._tickets:
            ticket.cancel()

    def _put(self, place: int, question: Question, pool: Pool, cache: bool) -> None:
        digest = self._digests[place] = self._library.digest(question, self._own, self._messages)
        known = self._library.find(digest) if cache else None
        if known:
            self._replies[place] = known
        elif isinstance(question, Ask):
            self._ask(place, question, pool)
        else:
            self._weigh(place, question, pool)

    def _ask(self, place: int, question: Ask, pool: Pool) -> None:
        self._chunks[place] = []
        model = self._library.find_model(question.model)
        ticket = pool.submit(
            model,
            question.messages,
            loosen(question.sampling, model),
            question.mode,
            lambda event: self._post(Heard(place, event)),
            priority=PRIORITY,
        )
        self._tickets.append(ticket)

    def _weigh(self, place: int, question: Weigh, pool: Pool) -> None:
        own = self._own
        alone = own.variant.reproducible or None
        base, mode = own.base, own.prompt.mode
        under_way = pool.weigh(base, self._messages, question.answers, mode, own.applied, PRIORITY, alone)
        under_way.likelihoods.add_done_callback(lambda future: self._post(Heard(place, future)))

    def _reply(self, place: int, reply: Reply) -> None:
        self._replies[place] = reply
        digest = self._digests[place]
        if digest and not reply.problem:
            self.learned.append((digest, msgspec.json.encode(reply).decode()))


def _read(future: Future[tuple[Likelihood, ...]]) -> Reply:
    try:
        return Reply(likelihoods=future.result())
    except WorkbenchError as error:
        return Reply(problem=error.message)
