"""The rows of one model: who waits, who reads its prompt, who writes, and what is evaluated next.

Every step evaluates a token for each row that writes, all rows of the same module at once, and then a piece of a
prompt, so that a long prompt neither holds up the others nor delays a cancel. Knows nothing of chat templates.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.engines.answer import Answer
from workbench.engines.engine import Event, Failure, Progress, StopReason
from workbench.engines.likelihood import weigh
from workbench.engines.transformers.memory import Memory, Run
from workbench.engines.transformers.overlay import Overlay
from workbench.engines.transformers.sampler import Sampler
from workbench.engines.vocabulary import Vocabulary
from workbench.errors import EngineError


class Row:
    """A request with a place in the memory. pending: tokens that are not evaluated yet."""

    def __init__(self, answer: Answer, sampler: Sampler, overlay: Overlay) -> None:
        self.answer = answer
        self.sampler = sampler
        self.overlay = overlay
        self.number = -1
        self.position = 0
        self.pending = list(answer.prompt)
        self.cancelled = False

    @property
    def id(self) -> int:
        return self.answer.request.id

    @property
    def writing(self) -> bool:
        return self.answer.output_tokens > 0

    def run(self, tokens: Sequence[int]) -> Run:
        return Run(self.number, self.position, tokens, recipe=self.overlay.recipe)


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
        self._context_tokens = context_tokens
        self._clock = clock
        self._waiting: deque[Row] = deque()
        self._rows: list[Row] = []

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._rows)

    @property
    def overlays(self) -> Iterator[Overlay]:
        """What the requests under way run on."""
        return (row.overlay for row in (*self._waiting, *self._rows))

    def add(self, row: Row) -> None:
        """Queue a row; it gets its place as soon as one is free."""
        self._waiting.append(row)

    def cancel(self, request_id: int) -> None:
        for row in (*self._waiting, *self._rows):
            if row.id == request_id:
                row.cancelled = True

    @torch.inference_mode()
    def step(self) -> Sequence[Event]:
        """A token for each row that writes, and a piece of prompt. A row that fails ends; the others go on."""
        events: list[Event] = []
        for row in [row for row in (*self._rows, *self._waiting) if row.cancelled]:
            events += self._end(row, "cancelled")
        events += self._admit()
        for rows in self._group():
            rows.sort(key=lambda row: row.number)  # an earlier group's end may have moved them
            events += self._evaluate(rows, [row.run(row.pending) for row in rows])
        events += self._read_prompts()
        return events

    def close(self) -> None:
        self._waiting.clear()
        self._rows.clear()

    def _admit(self) -> list[Event]:
        events: list[Event] = []
        while self._waiting and len(self._rows) < self._most:
            row = self._waiting.popleft()
            row.number = len(self._rows)
            self._rows.append(row)
            events.append(Progress(row.id, "running"))
            try:
                row.position = row.overlay.begin(self._memory, row.number)
            except Exception as error:  # noqa: BLE001  an adapter's failure is its request's alone
                events += self._fail(row, _explain(error))
        return events

    def _group(self) -> list[list[Row]]:
        """The rows that write, in groups that one forward pass can evaluate."""
        writing = [row for row in self._rows if row.writing]
        if self._memory.longest is None:
            return [[row] for row in writing]
        groups: dict[int, list[Row]] = {}
        for row in sorted(writing, key=lambda row: row.overlay.bare):
            mixture = next((key for key, rows in groups.items() if rows[0].overlay.recipe), None)
            key = mixture if row.overlay.bare and mixture else id(row.overlay.module)
            groups.setdefault(key, []).append(row)
        return list(groups.values())

    def _read_prompts(self) -> list[Event]:
        """Evaluate prompts, the one that is soonest read first, as far as one step goes."""
        events: list[Event] = []
        budget = self._prompt_tokens
        longest = self._memory.longest
        for row in sorted((row for row in self._rows if not row.writing), key=lambda row: len(row.pending)):
            if budget <= 0:
                break
            tokens = row.pending if longest is None else row.pending[: min(budget, longest)]
            budget -= len(tokens)
            events += self._evaluate([row], [row.run(tokens)])
        return events

    def _evaluate(self, rows: list[Row], runs: list[Run]) -> list[Event]:
        try:
            named = next((row for row in rows if row.overlay.recipe), rows[0])
            logits = self._memory.evaluate(named.overlay.module, runs)
            likeliest = logits.argmax(-1)
            sound = torch.isfinite(logits.gather(-1, likeliest[:, None])[:, 0]).tolist()
        except Exception as error:  # noqa: BLE001  whatever foreign code raises, the rows get a message
            if len(rows) > 1:
                return [event for row in rows for event in self._evaluate([row], [row.run(row.pending)])]
            return self._fail(rows[0], _explain(error))
        for row, run in zip(rows, runs, strict=True):  # all of them first: a row that ends moves others
            row.position += len(run.tokens)
            row.pending = row.pending[len(run.tokens) :]
        events: list[Event] = []
        choices: list[int] = likeliest.tolist()
        for place, row in enumerate(rows):
            if not sound[place]:
                events += self._fail(row, _not_a_number())
            elif not row.pending:
                token = choices[place] if row.sampler.plain else row.sampler.choose(_numbers(logits[place]))
                if row.answer.request.guesses:
                    self._note(row, token, logits[place])
                events += self._write(row, token)
        return events

    def _note(self, row: Row, token: int, logits: torch.Tensor) -> None:
        answer = row.answer
        answer.note(weigh(_numbers(logits), token, answer.request.guesses, self._vocabulary.spell))

    def _write(self, row: Row, token: int) -> list[Event]:
        answer = row.answer
        if self._vocabulary.ends(token):
            return self._end(row, "eos")
        events: list[Event] = list(answer.add(self._vocabulary.piece(token), self._clock()))
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
        self._release(row, spoiled=True)
        return [Failure(row.id, error.message, error.hint, error.details)]

    def _release(self, row: Row, spoiled: bool = False) -> None:
        """Take a row out; the last one takes its place, so that the rows stay without gaps."""
        if row in self._waiting:
            self._waiting.remove(row)
            return
        self._memory.forget(row.number, spoiled)
        last = self._rows.pop()
        if last is not row:
            self._memory.move(last.number, row.number, last.position)
            self._rows[row.number] = last
            last.number = row.number


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
