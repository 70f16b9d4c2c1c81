"""The rows of one context: who waits, who reads its prompt, who writes, and what the next batch holds.

Every step evaluates one batch: a token for each row that writes, then prompt pieces, so that a long prompt neither
holds up the others nor delays a cancel. Knows nothing of chat templates or processes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from workbench.engines.answer import Answer
from workbench.engines.engine import Event, Failure, Progress, StopReason
from workbench.engines.likelihood import weigh
from workbench.engines.llamacpp.context import Context, Run
from workbench.engines.llamacpp.sampler import Sampler
from workbench.engines.vocabulary import Vocabulary
from workbench.errors import EngineError


class Row:
    """A request with a place in the context. pending: tokens that are not evaluated yet."""

    def __init__(self, answer: Answer, sampler: Sampler, cells: int) -> None:
        self.answer = answer
        self.sampler = sampler
        self.cells = cells
        self.sequence = -1
        self.position = 0
        self.pending = list(answer.prompt)
        self.cancelled = False

    @property
    def id(self) -> int:
        return self.answer.request.id

    @property
    def writing(self) -> bool:
        return self.answer.output_tokens > 0


class Scheduler:
    """Continuous batching over the sequences of one context.

    prompt_tokens: prompt tokens that one step evaluates at most. context_tokens: the longest one row may become.
    """

    def __init__(
        self,
        context: Context,
        vocabulary: Vocabulary,
        sequences: int,
        prompt_tokens: int,
        context_tokens: int,
        clock: Callable[[], float],
    ) -> None:
        self._context = context
        self._vocabulary = vocabulary
        self._prompt_tokens = prompt_tokens
        self._context_tokens = context_tokens
        self._clock = clock
        self._free = list(range(sequences))
        self._free_cells = context.cells
        self._waiting: deque[Row] = deque()
        self._rows: list[Row] = []

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._rows)

    def add(self, answer: Answer, sampler: Sampler) -> None:
        """Queue an answer; it gets a row as soon as there is a sequence and enough cells for all it may write."""
        wanted = len(answer.prompt) + answer.request.sampling.max_tokens
        self._waiting.append(Row(answer, sampler, min(wanted, self._context_tokens, self._context.cells)))

    def cancel(self, request_id: int) -> None:
        for row in (*self._waiting, *self._rows):
            if row.id == request_id:
                row.cancelled = True

    def step(self) -> Sequence[Event]:
        """One batch. A row that fails ends with a Failure; the others go on."""
        return [*self.settle(), *self.advance()]

    def settle(self) -> Sequence[Event]:
        """End what was cancelled, and give rows to what waits; computes nothing."""
        events: list[Event] = []
        for row in [row for row in (*self._rows, *self._waiting) if row.cancelled]:
            events += self._end(row, "cancelled")
        return events + self._admit()

    def advance(self) -> Sequence[Event]:
        """Evaluate one batch."""
        runs = self._plan()
        return self._evaluate(runs) if runs else ()

    def close(self) -> None:
        for row in (*self._waiting, *self._rows):
            row.sampler.close()
        self._waiting.clear()
        self._rows.clear()

    def _admit(self) -> list[Event]:
        events: list[Event] = []
        while self._waiting and self._free and self._waiting[0].cells <= self._free_cells:
            row = self._waiting.popleft()
            row.sequence = self._free.pop(0)
            self._free_cells -= row.cells
            self._rows.append(row)
            events.append(Progress(row.id, "running"))
        return events

    def _plan(self) -> list[tuple[Row, Run]]:
        """What the next batch holds: all that write, then prompts, the one that is soonest read first."""
        plan = [(row, Run(row.sequence, row.position, row.pending, True)) for row in self._rows if row.writing]
        budget = self._prompt_tokens
        for row in sorted(self._rows, key=lambda row: len(row.pending)):
            if not row.writing and budget:
                tokens = row.pending[:budget]
                budget -= len(tokens)
                run = Run(row.sequence, row.position, tokens, len(tokens) == len(row.pending))
                plan.append((row, run))
        return plan

    def _evaluate(self, plan: list[tuple[Row, Run]]) -> list[Event]:
        code, indices = self._context.evaluate([run for _, run in plan])
        if code != 0:
            return self._isolate(plan, code)
        events: list[Event] = []
        for (row, run), index in zip(plan, indices, strict=True):
            row.position += len(run.tokens)
            row.pending = row.pending[len(run.tokens) :]
            if run.wants_logits:
                events += self._write(row, index)
        return events

    def _isolate(self, plan: list[tuple[Row, Run]], code: int) -> list[Event]:
        """Find out which row spoils a batch: evaluate each alone, and fail the one that cannot be."""
        if len(plan) == 1:
            row = plan[0][0]
            message = f"llama.cpp could not evaluate the request (code {code})."
            return self._fail(row, EngineError(message, "Run again; shorten the prompt if this repeats."))
        return [event for entry in plan for event in self._evaluate([entry])]

    def _write(self, row: Row, index: int) -> list[Event]:
        answer = row.answer
        try:
            token = row.sampler.choose(self._context, index)
        except EngineError as error:
            return self._fail(row, error)
        if answer.request.guesses:
            logits = self._context.logits(index)
            answer.note(weigh(logits, token, answer.request.guesses, self._vocabulary.spell))
        now = self._clock()
        if self._vocabulary.ends(token):
            return self._end(row, "eos")
        events: list[Event] = list(answer.add(self._vocabulary.piece(token), now))
        row.pending = [token]
        if answer.stopped:
            return events + self._end(row, "stop")
        if answer.output_tokens >= answer.request.sampling.max_tokens:
            return events + self._end(row, "length")
        if row.position + 1 >= self._context_tokens:
            return events + self._end(row, "context")
        return events

    def _end(self, row: Row, reason: StopReason) -> list[Event]:
        self._release(row)
        return list(row.answer.end(reason, self._clock()))

    def _fail(self, row: Row, error: EngineError) -> list[Event]:
        self._release(row)
        return [Failure(row.id, error.message, error.hint, error.details)]

    def _release(self, row: Row) -> None:
        row.sampler.close()
        if row in self._waiting:
            self._waiting.remove(row)
            return
        self._rows.remove(row)
        self._context.forget(row.sequence)
        self._free.append(row.sequence)
        self._free_cells += row.cells
