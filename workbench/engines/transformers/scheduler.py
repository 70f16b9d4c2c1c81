"""The rows of one model: who waits, who reads its prompt, who writes, and what is evaluated next.

Every step evaluates a token for each row that writes, and then a piece of a prompt, so that a long prompt neither holds
up the others nor delays a cancel. Rows whose adapters keep them out of the others' pass take turns with them, and are
queued until it is theirs. Knows nothing of chat templates.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.engines.answer import Answer
from workbench.engines.engine import Event, Outcome, Progress, State
from workbench.engines.likelihood import weigh
from workbench.engines.rows import Row, Rows
from workbench.engines.sampler import Sampler
from workbench.engines.transformers.memory import Memory, Run
from workbench.engines.transformers.overlay import Overlay
from workbench.engines.transformers.turns import Turns
from workbench.engines.vocabulary import Vocabulary
from workbench.engines.weighing import Branch, Branches
from workbench.errors import EngineError


class MemoryRow(Row):
    """A request that is to get a place in the memory. overlay: the adapters it runs on. state: as it was last told."""

    def __init__(self, answer: Answer, sampler: Sampler, overlay: Overlay) -> None:
        super().__init__(answer)
        self.sampler = sampler
        self.overlay = overlay
        self.state: State = "queued"
        self.number = -1

    def run(self, tokens: Sequence[int]) -> Run:
        return Run(self.number, self.position, tokens, recipe=self.overlay.recipe)


class WeighingRow(MemoryRow):
    """A row that reads a conversation, whose answers are then weighed."""

    def __init__(self, answer: Answer, overlay: Overlay, branches: Branches) -> None:
        super().__init__(answer, Sampler(answer.request.sampling, {}, ()), overlay)
        self.branches = branches


class Scheduler:
    """Continuous batching over the rows of one memory, at most `rows` of them.

    prompt_tokens: prompt tokens that one step evaluates at most. context_tokens: the longest one row may become.
    """

    def __init__(
        self,
        memory: Memory,
        vocabulary: Vocabulary,
        rows: int,
        prompt_tokens: int,
        context_tokens: int,
        clock: Callable[[], float],
    ) -> None:
        self._memory = memory
        self._vocabulary = vocabulary
        self._most = rows
        self._prompt_tokens = prompt_tokens
        self._rows = Rows[MemoryRow](vocabulary, context_tokens, clock, self._release)
        self._turns = Turns[MemoryRow](self._group)

    @property
    def busy(self) -> bool:
        return bool(self._rows.all)

    @property
    def overlays(self) -> Iterator[Overlay]:
        """What the requests under way run on."""
        return (row.overlay for row in self._rows.all)

    def add(self, row: MemoryRow) -> None:
        """Queue a row; it gets its place as soon as one is free."""
        self._rows.waiting.append(row)

    def cancel(self, request_id: int) -> None:
        self._rows.cancel(request_id)

    @torch.inference_mode()
    def step(self) -> Sequence[Outcome]:
        """A token for each row that writes, and a piece of prompt. A row that fails ends; the others go on."""
        events: list[Outcome] = [*self._rows.end_cancelled(), *self._admit()]
        on_turn = self._turns.take(self._rows.running)
        events += self._tell(on_turn)
        writing = sorted((row for row in on_turn if row.writing), key=lambda row: row.number)
        if writing:
            events += self._evaluate(writing, [row.run(row.pending) for row in writing])
        events += self._read_prompts([row for row in on_turn if row not in writing])
        return events

    def close(self) -> None:
        self._rows.clear()

    def _admit(self) -> list[Event]:
        events: list[Event] = []
        waiting, running = self._rows.waiting, self._rows.running
        while waiting and len(running) < self._most:
            row = waiting.popleft()
            row.number = len(running)
            running.append(row)
            try:
                row.position = row.overlay.begin(self._memory, row.number)
            except Exception as error:  # noqa: BLE001  an adapter's failure is its request's alone
                events += self._rows.fail(row, _explain(error))
        return events

    def _group(self, row: MemoryRow) -> Hashable:
        """What the rows that one forward pass can evaluate have in common."""
        if self._memory.longest is None:
            return id(row)
        if row.overlay.bare or row.overlay.recipe:
            return None
        return id(row.overlay.module)

    def _tell(self, on_turn: Sequence[MemoryRow]) -> list[Event]:
        """Say of each row whether it runs or waits for its turn, where that is new."""
        events: list[Event] = []
        for row in self._rows.running:
            state: State = "running" if row in on_turn else "queued"
            if row.state != state:
                row.state = state
                events.append(Progress(row.id, state))
        return events

    def _read_prompts(self, rows: Sequence[MemoryRow]) -> Sequence[Outcome]:
        """Evaluate prompts, the one that is soonest read first, as far as one step goes."""
        events: list[Outcome] = []
        budget = self._prompt_tokens
        longest = self._memory.longest
        for row in sorted(rows, key=lambda row: len(row.pending)):
            if budget <= 0:
                break
            tokens = row.pending if longest is None else row.pending[: min(budget, longest)]
            budget -= len(tokens)
            events += self._evaluate([row], [row.run(tokens)])
        return events

    def _evaluate(self, rows: list[MemoryRow], runs: list[Run]) -> Sequence[Outcome]:
        try:
            named = next((row for row in rows if row.overlay.recipe), rows[0])
            logits = self._memory.evaluate(named.overlay.module, runs)
            likeliest = logits.argmax(-1)
            sound = torch.isfinite(logits.gather(-1, likeliest[:, None])[:, 0]).tolist()
        except Exception as error:  # noqa: BLE001  whatever foreign code raises, the rows get a message
            if len(rows) > 1:
                return [event for row in rows for event in self._evaluate([row], [row.run(row.pending)])]
            return self._rows.fail(rows[0], _explain(error))
        for row, run in zip(rows, runs, strict=True):  # all of them first: a row that ends moves others
            row.advance(len(run.tokens))
        events: list[Outcome] = []
        choices: list[int] = likeliest.tolist()
        for place, row in enumerate(rows):
            if not sound[place]:
                events += self._rows.fail(row, _not_a_number())
            elif isinstance(row, WeighingRow):
                events += () if row.pending else self._finish(row, logits[place])
            elif not row.pending:
                token = choices[place] if row.sampler.plain else row.sampler.choose(_numbers(logits[place]))
                if row.answer.request.guesses:
                    self._note(row, token, logits[place])
                events += self._rows.write(row, token)
        return events

    def _finish(self, row: WeighingRow, logits: torch.Tensor) -> Sequence[Outcome]:
        """Weigh the answers in the same place, one by one: what an earlier one left there is not looked at."""
        row.branches.begin(_numbers(logits))
        try:
            for branch in row.branches.left:
                self._weigh(row, branch)
        except Exception as error:  # noqa: BLE001  as in _evaluate
            return self._rows.fail(row, _explain(error))
        self._release(row, False)
        return (row.branches.outcome,)

    def _weigh(self, row: WeighingRow, branch: Branch) -> None:
        tokens, position, longest = branch.inputs, row.position, self._memory.longest
        if longest is None:  # what is seen cannot be unseen: begin again
            self._memory.forget(row.number, False)
            position = row.overlay.begin(self._memory, row.number)
            run = row.run([*row.branches.shared, *tokens])._replace(position=position)
            numbers = self._memory.evaluate_all(row.overlay.module, run)
            branch.take(_numbers(numbers[len(numbers) - len(tokens) :]))
            return
        for start in range(0, len(tokens), longest):
            run = row.run(tokens[start : start + longest])._replace(position=position + start)
            branch.take(_numbers(self._memory.evaluate_all(row.overlay.module, run)))

    def _note(self, row: MemoryRow, token: int, logits: torch.Tensor) -> None:
        answer = row.answer
        answer.note(weigh(_numbers(logits), token, answer.request.guesses, self._vocabulary.spell))

    def _release(self, row: MemoryRow, failed: bool) -> None:
        """Take a row out; the last one takes its place, so that the rows stay without gaps."""
        if row in self._rows.waiting:
            self._rows.waiting.remove(row)
            return
        self._memory.forget(row.number, failed)
        last = self._rows.running.pop()
        if last is not row:
            self._memory.move(last.number, row.number, last.position)
            self._rows.running[row.number] = last
            last.number = row.number
        if not self._rows.running:
            self._turns.clear()


def _numbers(logits: torch.Tensor) -> NDArray[np.float32]:
    """A copy that may be changed."""
    numbers: NDArray[np.float32] = logits.to("cpu", torch.float32, copy=True).numpy()
    return numbers


def _explain(error: Exception) -> EngineError:
    """A failure of torch or of a model's code, as a message."""
    details = f"{type(error).__name__}: {error}"
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(error):
        return EngineError(
            "There was not enough memory to go on with the request.",
            "Shorten the prompt, run fewer panes at once, or unload another model.",
            details,
        )
    return EngineError(
        f"The model could not evaluate the request: {details.splitlines()[0]}.", "Try another model.", details
    )


def _not_a_number() -> EngineError:
    return EngineError(
        "The model gave numbers that are not numbers, so no token can be chosen.",
        "Its weights or those of an adapter may be damaged; try it without the adapter, or fetch it again.",
    )
