"""One answer of a server: fitted, checked, sent when its turn comes, tried again where that may help.

A batch request is handed on once its stream has ended well, so that one that breaks off can be asked again, here or at
another address, without a word of it twice. Someone who looks on sees the text as it comes, and a break as an error.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field

from workbench.errors import EngineError
from workbench.inference.remote.address_queue import Turn
from workbench.inference.remote.answer_builder import AnswerBuilder
from workbench.inference.remote.clock import RequestClock
from workbench.inference.remote.dialects.protocol import StreamedAnswer
from workbench.inference.remote.errors import ServerError
from workbench.inference.remote.fleet import Fleet
from workbench.inference.remote.likelihood import loglikelihood
from workbench.inference.remote.prefix_groups import PrefixGroups
from workbench.inference.remote.prompt_fit import fit_remotely, measure_remotely, tokenize_remotely
from workbench.inference.remote.proof import Proof
from workbench.inference.remote.server import ModelServer
from workbench.inference.remote.server_api import ModelServerApi
from workbench.inference.remote.tool_calls import StreamedCalls
from workbench.inference.remote.traffic import Traffic
from workbench.inference.sampling_fields import check_sampling
from workbench.inference.types import (
    Admitted,
    Chunk,
    EngineStatus,
    Event,
    GenerateRequest,
    Likelihood,
    LoglikelihoodRequest,
    Progress,
    Tokenized,
)
from workbench.inference.worker.request_fit import FittedRequest
from workbench.models.reference import ModelInfo
from workbench.prompting.context_fit import Budget

RETRIES = 6
"""Further requests for one answer."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
LONGEST_WAIT = 300.0
"""Seconds; a server that asks to wait longer is not waited for."""


@dataclass(slots=True)
class _Attempts:
    """How often an answer was asked for, where, and since when."""

    began: float
    retries: int = 0
    tried: set[str] = field(default_factory=set)


class Generator:
    """See the module. For the tasks of one event loop."""

    def __init__(self, fleet: Fleet, info: ModelInfo, clock: RequestClock) -> None:
        self.fleet = fleet
        self.info = info
        self._clock = clock
        self._groups = PrefixGroups()
        self._traffic = Traffic(fleet.servers, clock)
        self.proof: Proof | None = None
        """what the server is held to, once it was probed"""

    @property
    def status(self) -> EngineStatus:
        """Requests that are sent and that wait; prompt and completion tokens as servers told them."""
        return self._traffic.status

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Event, None]:
        """The events of an answer: Admitted, then chunks. Raises WorkbenchError."""
        attempts = _Attempts(self._clock.monotonic())
        check_sampling(request.sampling)
        first, fitted = await self._fit(request, attempts)
        yield Admitted(request.id, fitted.budget)
        self._check(first, fitted.request)
        group = self._groups.find(fitted.request) if first.shares_prefixes else None
        while True:
            server = self.fleet.choose(group, frozenset(attempts.tried))
            turn = await server.queue.acquire(request.priority, group)
            held: list[Chunk] = []
            sent = False
            try:
                async for chunk in self._exchange(server, turn, fitted.request, fitted.notes, attempts):
                    if request.priority == 0:
                        sent = True
                        yield chunk
                    else:
                        held.append(chunk)
                server.queue.note_success(turn)
            except ServerError as error:
                server.queue.release(turn)
                if sent or self._is_gone(request, error) or not await self._may_retry(server, error, attempts):
                    for chunk in held:
                        yield chunk
                    raise
                yield Progress(request.id, "queued")
                continue
            except BaseException:
                server.queue.release(turn)
                raise
            server.queue.release(turn)
            for chunk in held:
                yield chunk
            return

    async def _fit(self, request: GenerateRequest, attempts: _Attempts) -> tuple[ModelServer, FittedRequest]:
        """The request with the messages that are sent, and the server that counted them. Raises WorkbenchError."""
        while True:
            server = self.fleet.choose(None, frozenset(attempts.tried))
            try:
                return server, await fit_remotely(server, self.info, request)
            except ServerError as error:
                if self._is_gone(request, error) or not await self._may_retry(server, error, attempts):
                    raise

    async def _exchange(
        self, server: ModelServer, turn: Turn, request: GenerateRequest, notes: tuple[str, ...], attempts: _Attempts
    ) -> AsyncIterator[Chunk]:
        """The chunks of one attempt. Raises ServerError."""
        now = self._clock.monotonic
        ask = server.ask(request)
        call = server.dialect.call(ask)
        answer = StreamedAnswer(stops=bool(request.sampling.stop))
        answer.calls = StreamedCalls() if request.tools else None
        sent = now()
        builder = AnswerBuilder(request, server.address, sent, sent - attempts.began, attempts.retries)
        events = 0
        async with server.connection.stream(call.path, call.body, call.form) as stream:
            async for event in stream:
                events += 1
                for piece in server.dialect.read(event, answer):
                    for chunk in builder.add(piece, now()):
                        yield chunk
                    if turn.leads:
                        server.queue.note_prefilled(turn)
        answer.drop_impossible()
        if answer.refusal:
            raise ServerError("refused", f"{server.address} gave no answer: {answer.refusal}.", "Change the prompt.")
        if not events:
            raise ServerError("broken", f"{server.address} sent an empty answer.", "See the server's own log.")
        if answer.stop_reason is None:
            raise ServerError(
                "broken", f"{server.address} ended its answer without saying why: a part may be missing.", "Run again."
            )
        builder.finish_time(now())
        if turn.group is not None:
            server.queue.note_prefilled(turn)
        notes = (*notes, *self.fleet.left_out)
        if self.proof:
            notes = (*notes, *self.proof.find_notes(request))
        for chunk in builder.end(answer, server.model.context_tokens, notes):
            if chunk.stop_reason and self.proof:
                await self.proof.check_answer(request, chunk, ModelServerApi(server))
            yield chunk
        self._traffic.note(answer)

    def _is_gone(self, request: GenerateRequest, error: ServerError) -> bool:
        """Whether someone who looks on is told at once that the only server does not answer."""
        return request.priority == 0 and error.kind == "unreachable" and len(self.fleet.alive) == 1

    async def _may_retry(self, server: ModelServer, error: ServerError, attempts: _Attempts) -> bool:
        """Whether to ask again; waits as long as that takes."""
        if server.accept_max_completion_tokens(error):
            return True
        if error.kind == "busy":
            server.queue.note_busy()
        if not error.retried or attempts.retries >= RETRIES:
            return False
        wait = error.retry_after
        if wait is not None and wait > LONGEST_WAIT:
            error.hint = f"It asks to wait {wait:.0f} s; the longest wait is {LONGEST_WAIT:.0f} s. Run again later."
            return False
        attempts.retries += 1
        attempts.tried.add(server.address)
        if error.kind == "unreachable":
            self.fleet.leave_out(server, error)
            if server.problem:
                return True
        pause = min(_FIRST_PAUSE * 2 ** (attempts.retries - 1), _LONGEST_PAUSE) * self._clock.jitter()
        if error.kind == "busy":
            server.queue.pause(max(wait or 0.0, 0.0 if wait is not None else pause))
            return True
        await self._clock.sleep(max(wait or 0.0, pause))
        return True

    def _check(self, server: ModelServer, request: GenerateRequest) -> None:
        """Raise EngineError that names everything that the server cannot be told."""
        ask = server.ask(request)
        if self.proof:
            self.proof.check_request(ask)
        problems = [
            one for one in server.dialect.check(ask) if not any(one.startswith(f"{name} ") for name in ask.left_out)
        ]
        if problems:
            raise EngineError(
                f"{server.address} cannot be asked this: {'; '.join(problems)}.",
                "Leave it out, or run the variant on a model on this machine.",
            )

    async def loglikelihood(self, request: LoglikelihoodRequest) -> tuple[Likelihood, ...]:
        """Raises EngineError where the server cannot tell, as its card says."""
        attempts, conversation = _Attempts(self._clock.monotonic()), request.request
        first = self.fleet.choose(None, frozenset())
        self._check(first, conversation)
        method = self.proof.card.likelihood if self.proof else "none"
        group = self._groups.find(conversation) if first.shares_prefixes else None
        while True:
            server = self.fleet.choose(group, frozenset(attempts.tried))
            turn = await server.queue.acquire(request.priority, group)
            try:
                found = await loglikelihood(ModelServerApi(server), method, request)
                server.queue.note_success(turn)
                server.queue.note_prefilled(turn)
            except ServerError as error:
                failure = error
            else:
                return found
            finally:
                server.queue.release(turn)
            if not await self._may_retry(server, failure, attempts):
                raise failure

    async def fit(self, request: GenerateRequest) -> Budget:
        """How a request's prompt divides over the context, as far as the server tells."""
        return await measure_remotely(self.fleet.choose(None, frozenset()), self.info, request)

    async def tokenize(self, request: GenerateRequest) -> Tokenized:
        """The request as the model would see it. Raises ServerError where the server does not tell."""
        return await tokenize_remotely(self.fleet.choose(None, frozenset()), request)
