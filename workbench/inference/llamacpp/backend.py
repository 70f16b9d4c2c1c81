"""llama.cpp as a backend of the scheduler: one context with its KV cache."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from workbench.errors import EngineError
from workbench.inference.llamacpp.context import Context
from workbench.inference.llamacpp.projector import Projector
from workbench.inference.logprobs import Logits
from workbench.inference.picture_tokens import PictureSpan
from workbench.inference.scheduling.backend import Limits, SavedState, TokenRun
from workbench.inference.scheduling.preemption import StepAborted
from workbench.inference.slot_positions import SlotPositions

ABORTED = 2
"""What llama_decode says of a batch that was left by its abort callback."""


class LlamaOutputs:
    """The logits of a context's last batch; llama.cpp keeps them in one block, in the order of the batch."""

    has_logits = True

    def __init__(self, logits: Logits, runs: Sequence[TokenRun]) -> None:
        self._logits = logits
        self._ends = list(accumulate(run.outputs for run in runs))
        self._counts = [run.outputs for run in runs]

    def last(self, index: int) -> Logits:
        row: Logits = self._logits[self._ends[index] - 1]
        return row

    def all(self, index: int) -> Logits:
        rows: Logits = self._logits[self._ends[index] - self._counts[index] : self._ends[index]]
        return rows

    def likeliest(self, indices: Sequence[int]) -> tuple[list[int], list[bool]]:
        rows = [self._ends[index] - 1 for index in indices]
        if rows == list(range(len(self._logits))):
            tokens = self._logits.argmax(axis=1)
        else:
            tokens = np.array([self._logits[row].argmax() for row in rows], dtype=np.intp)
        return tokens.tolist(), np.isfinite(self._logits[rows, tokens]).tolist()


class SampledOutputs:
    """The tokens that a device picked in a context's last batch; there are no logits."""

    has_logits = False

    def __init__(self, context: Context, runs: Sequence[TokenRun]) -> None:
        self._context = context
        self._ends = list(accumulate(len(run.tokens) for run in runs))

    def last(self, index: int) -> Logits:
        raise AssertionError("no logits were asked for")

    all = last

    def likeliest(self, indices: Sequence[int]) -> tuple[list[int], list[bool]]:
        return self._context.read_sampled([self._ends[index] - 1 for index in indices])


class LlamaBackend:
    """See scheduling.backend. deterministic: each sequence finds the context as if it were new."""

    def __init__(
        self,
        context: Context,
        limits: Limits,
        deterministic: bool = False,
        projector: Projector | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """projector: for pictures. check: raises StepAborted where the step is to be left."""
        self.limits = limits
        self.context = context
        self._deterministic = deterministic
        self._projector = projector
        self._check = check
        self._positions = SlotPositions()

    def evaluate(self, runs: Sequence[TokenRun], threads: int) -> LlamaOutputs | SampledOutputs:
        self.context.use_threads(threads)
        placed = [run._replace(position=self._positions.find(run.slot, run.position)) for run in runs]
        for run in placed:  # before the tokens, whose logits the next evaluation would overwrite
            if run.picture is not None:
                assert self._projector is not None
                _check_code(self._projector.decode(run.picture, self.context.ctx, run.slot, run.position, self._check))
        texts = [run for run in placed if run.picture is None]
        if texts:
            _check_code(self.context.evaluate(texts))
        if self.context.sampled and texts:
            return SampledOutputs(
                self.context, [run if run.picture is None else run._replace(tokens=()) for run in runs]
            )
        return LlamaOutputs(self.context.logits(sum(run.outputs for run in texts)), runs)

    def start(self, slot: int, adapters: Any, pictures: Sequence[PictureSpan] = ()) -> int:
        if self._deterministic:  # where its tokens lie in the cache moves the last bits
            self.context.clear()
        self._positions.begin(slot, pictures)
        return 0

    def group(self, adapters: Any) -> Hashable:
        return None  # a context has one set of adapters

    def copy(self, source: int, target: int, start: int, end: int) -> None:
        self._positions.copy(source, target)
        first, last = self._positions.find(source, start), self._positions.find(source, end)
        self.context.copy(source, target, first, last)

    def cut(self, slot: int, start: int, end: int = -1) -> None:
        self.context.cut(slot, self._positions.find(slot, start), self._positions.find(slot, end))

    def free(self, slot: int, spoiled: bool = False) -> None:
        self.context.forget(slot)
        self._positions.free(slot)

    def save(self, slot: int, start: int, end: int) -> SavedState | None:
        if self._positions.moved(slot):  # positions in two dimensions are not part of a state
            return None
        state = self.context.save(slot)
        return SavedState(state, len(state)) if state else None

    def load(self, slot: int, position: int, state: SavedState, skip: int, count: int) -> bool:
        if not self.context.load(slot, state.data):
            return False
        self.context.cut(slot, self._positions.find(slot, count))
        return True


def _check_code(code: int) -> None:
    """Raise what llama_decode's answer says."""
    if code == ABORTED:
        raise StepAborted
    if code != 0:
        raise EngineError(
            f"llama.cpp could not evaluate the request (code {code}).",
            "Run again; shorten the prompt if this repeats.",
        )
