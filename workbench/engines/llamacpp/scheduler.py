"""The rows of one context: who waits, who reads its prompt, who writes, and what the next batch holds.

Every step evaluates one batch: a token for each row that writes, then prompt pieces, so that a long prompt neither
holds up the others nor delays a cancel. Knows nothing of chat templates or processes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from workbench.engines.answer import Answer
from workbench.engines.engine import Outcome, Progress
from workbench.engines.likelihood import weigh
from workbench.engines.llamacpp.context import Context, Run
from workbench.engines.rows import Row, Rows
from workbench.engines.sampler import Sampler
from workbench.engines.vocabulary import Vocabulary
from workbench.engines.weighing import Branches
from workbench.errors import EngineError


class LlamaRow(Row):
    """A request that is to get a sequence of the context, and as many of its cells as it may fill."""

    def __init__(self, answer: Answer, sampler: Sampler) -> None:
        super().__init__(answer)
        self.sampler = sampler
        self.cells = 0
        self.sequence = -1

    @property
    def wanted(self) -> int:
        """Tokens that it may become."""
        return len(self.answer.prompt) + self.answer.request.sampling.max_tokens


class WeighingRow(LlamaRow):
    """A row that reads a conversation, whose answers are then weighed."""

    def __init__(self, answer: Answer, sampler: Sampler, branches: Branches) -> None:
        super().__init__(answer, sampler)
        self.branches = branches

    @property
    def wanted(self) -> int:
        return self.branches.longest


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
        self._spare = sequences
        self._most_outputs = sequences
        self._free_cells = context.cells
        self._rows = Rows[LlamaRow](vocabulary, context_tokens, clock, self._release)

    @property
    def busy(self) -> bool:
        return bool(self._rows.all)

    def add(self, row: LlamaRow) -> None:
        """Queue a row; it gets its place as soon as there is a sequence and enough cells for all it may become."""
        row.cells = min(row.wanted, self._context_tokens, self._context.cells)
        self._rows.waiting.append(row)

    def cancel(self, request_id: int) -> None:
        self._rows.cancel(request_id)

    def step(self) -> Sequence[Outcome]:
        """One batch. A row that fails ends with a Failure; the others go on."""
        return [*self.settle(), *self.advance()]

    def settle(self) -> Sequence[Outcome]:
        """End what was cancelled, and give rows to what waits; computes nothing."""
        return self._rows.end_cancelled() + self._admit()

    def advance(self) -> Sequence[Outcome]:
        """Evaluate one batch."""
        runs = self._plan()
        return self._evaluate(runs) if runs else ()

    def close(self) -> None:
        for row in self._rows.all:
            row.sampler.close()
        self._rows.clear()

    def _admit(self) -> list[Outcome]:
        events: list[Outcome] = []
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

    def _evaluate(self, plan: list[tuple[LlamaRow, Run]]) -> Sequence[Outcome]:
        code, indices = self._context.evaluate([run for _, run in plan])
        if code != 0:
            return self._isolate(plan, code)
        events: list[Outcome] = []
        weighed: list[WeighingRow] = []
        for (row, run), index in zip(plan, indices, strict=True):
            row.advance(len(run.tokens))
            if run.wants_logits and isinstance(row, WeighingRow):
                row.branches.begin(self._context.logits(index))
                weighed.append(row)
            elif run.wants_logits:
                events += self._write(row, index)
        for row in weighed:  # now that nobody else's numbers are needed any more
            events += self._finish(row)
        return events

    def _finish(self, row: WeighingRow) -> Sequence[Outcome]:
        for branch in row.branches.left:
            self._context.copy(row.sequence, self._spare, row.position)
            for start in range(0, len(branch.inputs), self._most_outputs):
                tokens = branch.inputs[start : start + self._most_outputs]
                code, indices = self._context.evaluate([Run(self._spare, row.position + start, tokens, True, True)])
                if code != 0:
                    self._context.forget(self._spare)
                    return self._rows.fail(row, _refused(code))
                first = indices[0] + 1 - len(tokens)
                branch.take(np.stack([self._context.logits(first + place) for place in range(len(tokens))]))
            self._context.forget(self._spare)
        self._release(row, False)
        return [row.branches.outcome]

    def _isolate(self, plan: list[tuple[LlamaRow, Run]], code: int) -> Sequence[Outcome]:
        """Find out which row spoils a batch: evaluate each alone, and fail the one that cannot be."""
        if len(plan) == 1:
            row = plan[0][0]
            return self._rows.fail(row, _refused(code))
        return [event for entry in plan for event in self._evaluate([entry])]

    def _write(self, row: LlamaRow, index: int) -> Sequence[Outcome]:
        answer = row.answer
        try:
            token = row.sampler.choose(self._context.logits(index))
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


def _refused(code: int) -> EngineError:
    return EngineError(
        f"llama.cpp could not evaluate the request (code {code}).", "Run again; shorten the prompt if this repeats."
    )
