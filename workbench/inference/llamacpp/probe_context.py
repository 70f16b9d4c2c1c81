"""A context that is opened at load to measure steps on a device (step_probe.py), and closed again."""

from __future__ import annotations

from workbench.errors import EngineError
from workbench.inference.llamacpp.build import ContextBuild
from workbench.inference.llamacpp.context import Context
from workbench.inference.llamacpp.weights import LoadedWeights
from workbench.inference.scheduling.backend import TokenRun

_STRIDE = 7919
"""A prime: tokens that have nothing to do with each other, so that experts are chosen as in a text."""

_SPARE = 256
"""Tokens of KV cache beside the longest prompt, for a few rows."""


class ProbeContext:
    """See step_probe.StepTarget. most_tokens, most_rows: that are tried."""

    def __init__(
        self, weights: LoadedWeights, build: ContextBuild, most_tokens: int, most_rows: int, picks: bool
    ) -> None:
        """picks: the device is to pick tokens, where it can. Raises OutOfMemoryError, ModelError."""
        self._rows, self._position, self._greedy = most_rows, 0, picks
        slots, kv_tokens = most_rows + 1, max(most_tokens, 8 * most_rows) + _SPARE
        batch = max(most_tokens, most_rows)
        self._context = Context(
            weights,
            kv_tokens,
            slots,
            batch,
            build.threads,
            outputs=slots,
            offload=build.offload,
            remote=build.remote,
            device_sampling=picks,
        )
        self._vocabulary = max(1, weights.vocabulary_size)

    def prefill(self, tokens: int) -> None:
        self.free_prompt()
        ids = [_STRIDE * index % self._vocabulary for index in range(tokens)]
        self._evaluate([TokenRun(0, 0, ids, "none")])

    @property
    def picks(self) -> bool:
        return self._greedy and self._context.picks

    def take_logits(self) -> None:
        self._greedy = False

    def decode(self, rows: int) -> None:
        ids = [[_STRIDE * (slot + self._position) % self._vocabulary] for slot in range(1, rows + 1)]
        runs = [TokenRun(slot, self._position, token, greedy=self._greedy) for slot, token in enumerate(ids, 1)]
        self._evaluate(runs)
        if self._context.sampled:
            self._context.read_sampled(range(rows))
        else:
            self._context.logits(rows).argmax(axis=1)
        self._position += 1

    def free_rows(self) -> None:
        for slot in range(1, self._rows + 1):
            self._context.forget(slot)
        self._position = 0

    def free_prompt(self) -> None:
        self._context.forget(0)

    def save_and_load(self) -> None:
        state = self._context.save(0)
        if not state or not self._context.load(1, state):
            raise EngineError("llama.cpp could not save a prefix.")
        self._context.forget(1)

    def close(self) -> None:
        self._context.close()

    def _evaluate(self, runs: list[TokenRun]) -> None:
        code = self._context.evaluate(runs)
        if code != 0:
            raise EngineError(f"llama.cpp could not evaluate a step (code {code}).")
