"""The rows of one context: who waits, who reads its prompt, who writes, and what the next batch holds.

Every step evaluates one batch: a token for each row that writes, then prompt pieces, so that a long prompt neither
holds up the others nor delays a cancel. Knows nothing of chat templates or processes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workbench.engines.answer import Answer
from workbench.engines.engine import Event, Progress
from workbench.engines.likelihood import weigh
from workbench.engines.llamacpp.context import Context, Run
from workbench.engines.llamacpp.sampler import Sampler
from workbench.engines.rows import Row, Rows
from workbench.engines.vocabulary import Vocabulary
from workbench.errors import EngineError


class LlamaRow(Row):
    """A request that is to get a sequence of the context, and as many of its cells as it may fill."""

    def __init__(self, answer: Answer, sampler: Sampler, cells: int) -> None:
        super().__init__(answer)
        self.sampler = sampler
        self.cells = cells
        self.sequence = -1


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
        self._free = list(range(sequences))
        self._free_cells = context.cells
        self._rows = Rows[LlamaRow](vocabulary, context_tokens, clock, self._release)

    @property
    def busy(self) -> bool:
        return bool(self._rows.all)

    def add(self, answer: Answer, sampler: Sampler) -> None:
        """Queue an answer; it gets a row as soon as there is a sequence and enough cells for all it may write."""
        wanted = len(answer.prompt) + answer.request.sampling.max_tokens
        cells = min(wanted, self._context_tokens, self._context.cells)
        self._rows.waiting.append(LlamaRow(answer, sampler, cells))

    def cancel(self, request_id: int) -> None:
        self._rows.cancel(request_id)

    def step(self) -> Sequence[Event]:
        """One batch. A row that fails ends with a Failure; the others go on."""
        return [*self.settle(), *self.advance()]

    def settle(self) -> Sequence[Event]:
        """End what was cancelled, and give rows to what waits; computes nothing."""
        return self._rows.end_cancelled() + self._admit()

    def advance(self) -> Sequence[Event]:
        """Evaluate one batch."""
        runs = self._plan()
        return self._evaluate(runs) if runs else ()

    def close(self) -> None:
        for row in self._rows.all:
            row.sampler.close()
        self._rows.clear()

    def _admit(self) -> list[Event]:
        events: list[Event] = []
        waiting = self._rows.waiting
        while waiting and self._free and waiting[0].cells <= self._free_cells:
            row = waiting.popleft()
            row.sequence = self._free.pop(0)
            self._free_cells -= row.cells
            self._rows.running.append(row)
            events.append(Progress(row.id, "running"))
        return events

    def _plan(self) -> list[tuple[LlamaRow, Run]]:
        """What the next batch holds: all that write, then prompts, the one that is soonest read first."""
        plan = [(row, Run(row.sequence, row.position, row.pending, True)) for row in self._rows.running if row.writing]
        budget = self._prompt_tokens
        for row in sorted(self._rows.running, key=lambda row: len(row.pending)):
            if not row.writing and budget:
                tokens = row.pending[:budget]
                budget -= len(tokens)
                run = Run(row.sequence, row.position, tokens, len(tokens) == len(row.pending))
                plan.append((row, run))
        return plan

    def _evaluate(self, plan: list[tuple[LlamaRow, Run]]) -> list[Event]:
        code, indices = self._context.evaluate([run for _, run in plan])
        if code != 0:
            return self._isolate(plan, code)
        events: list[Event] = []
        for (row, run), index in zip(plan, indices, strict=True):
            row.advance(len(run.tokens))
            if run.wants_logits:
                events += self._write(row, index)
        return events

    def _isolate(self, plan: list[tuple[LlamaRow, Run]], code: int) -> list[Event]:
        """Find out which row spoils a batch: evaluate each alone, and fail the one that cannot be."""
        if len(plan) == 1:
            row = plan[0][0]
            message = f"llama.cpp could not evaluate the request (code {code})."
            return self._rows.fail(row, EngineError(message, "Run again; shorten the prompt if this repeats."))
        return [event for entry in plan for event in self._evaluate([entry])]

    def _write(self, row: LlamaRow, index: int) -> list[Event]:
        answer = row.answer
        try:
            token = row.sampler.choose(self._context, index)
        except EngineError as error:
            return self._rows.fail(row, error)
        if answer.request.guesses:
            logits = self._context.logits(index)
            answer.note(weigh(logits, token, answer.request.guesses, self._vocabulary.spell))
        return self._rows.write(row, token)

    def _release(self, row: LlamaRow, failed: bool) -> None:
        row.sampler.close()
        if row in self._rows.waiting:
            self._rows.waiting.remove(row)
            return
        self._rows.running.remove(row)
        self._context.forget(row.sequence)
        self._free.append(row.sequence)
        self._free_cells += row.cells
