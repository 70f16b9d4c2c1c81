"""The llama.cpp engine as its process uses it, but with prompts of token ids, so that all contenders read the same.

Knows nothing of what is measured.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.benchmarks.contest import NEW, THREADS, Tokens

if TYPE_CHECKING:
    from workbench.inference.chunk_builder import ChunkBuilder
    from workbench.inference.types import GenerateRequest, Likelihood


_LOOKS, _LOOK_SECONDS = 8, 0.11


class Written(NamedTuple):
    """A run. seconds: whole. pace: seconds for a token of every row, while all of them wrote."""

    seconds: float
    pace: float


class Own:
    """An engine over one file. context_tokens: of a request at most."""

    def __init__(self, path: Path, context_tokens: int = 4096, threads: int = THREADS) -> None:
        from workbench.inference.llamacpp.engine import LlamaEngine
        from workbench.models.reference import Model

        self._ids = itertools.count()
        time.sleep(_LOOK_SECONDS)  # a contender that has just ended is not to count as one that computes
        self._engine: Any = LlamaEngine.open(Model("shape", path), threads, context_tokens, lambda _: True)
        self._engine._prompts = _TokenPrompts()

    @property
    def read(self) -> int:
        """Prompt tokens that were evaluated so far."""
        found: int = self._engine.status.prefill_tokens
        return found

    def write(
        self,
        prompts: Sequence[Tokens],
        new: int = NEW,
        adapters: Sequence[Path] = (),
        top_logprobs: int = 0,
        priority: int = 1,
    ) -> Written:
        """Answer all prompts, each as long. adapters: one for each prompt."""
        from workbench.inference.types import GenerateRequest, Sampling
        from workbench.models.reference import Adapter, Applied
        from workbench.prompting.prompt import Message

        laid = [(Applied(Adapter(path.stem, path, "gguf")),) for path in adapters] or [()] * len(prompts)
        sampling = Sampling(max_tokens=new, temperature=0)
        requests = [
            GenerateRequest(
                next(self._ids), (Message("user", _spell(prompt)),), sampling, "completion", one, top_logprobs, priority
            )
            for prompt, one in zip(prompts, laid, strict=True)
        ]
        self._rest()
        started = time.perf_counter()
        for request in requests:
            self._engine.submit(request)
        timeline = self._run(new)
        return Written(timeline[-1][0] - started, _find_pace(timeline, len(prompts), new))

    def loglikelihood(self, question: Tokens, choices: Sequence[Tokens]) -> tuple[float, tuple[Likelihood, ...]]:
        """Seconds, and how likely each choice is."""
        from workbench.inference.types import LoglikelihoodRequest, LoglikelihoodResult
        from workbench.prompting.prompt import Message

        answers = tuple(_spell(choice) for choice in choices)
        weighing = LoglikelihoodRequest(
            next(self._ids), (Message("user", _spell(question)),), answers, "completion", priority=1
        )
        self._rest()
        started = time.perf_counter()
        self._engine.loglikelihood(weighing)
        while True:
            for event in self._engine.step():
                if isinstance(event, LoglikelihoodResult):
                    return time.perf_counter() - started, event.likelihoods

    def settle(self) -> None:
        """Let it do what it does while nobody waits."""
        while self._engine.busy:
            self._engine.step()

    def close(self) -> None:
        self._engine.close()

    def _rest(self) -> None:
        """Let the engine see that the contender before it has left the machine."""
        for _ in range(_LOOKS):
            time.sleep(_LOOK_SECONDS)
            self._engine._cpu_budget.threads()

    def _run(self, new: int) -> list[tuple[float, int, int]]:
        """Every token as it came: when, of which request, and its number."""
        from workbench.inference.types import Chunk, Failure

        timeline: list[tuple[float, int, int]] = []
        fewer = steps = 0
        while self._engine.busy:
            steps, fewer = steps + 1, fewer + (self._engine._cpu_budget.granted < THREADS)
            for event in self._engine.step():
                if isinstance(event, Failure):
                    raise RuntimeError(event.message)
                if isinstance(event, Chunk):
                    timeline.append((time.perf_counter(), event.request, event.output_tokens))
                    if event.stop_reason and event.output_tokens != new:
                        raise RuntimeError(f"An answer ended after {event.output_tokens} of {new} tokens.")
        if fewer > steps / 20:
            print(f"({fewer} of {steps} steps had fewer than {THREADS} cores)", file=sys.stderr)
        return timeline


class _TokenPrompts:
    """In the place of the engine's Prompts: what is said are the numbers of tokens."""

    def __init__(self) -> None:
        self._known: dict[str, Tokens] = {}

    def read(self, request: GenerateRequest) -> tuple[str, Tokens]:
        text = request.messages[0].content
        if text not in self._known:
            self._known[text] = [int(word) for word in text.split()]
        return "", self._known[text]

    def read_answer(self, request: GenerateRequest, answer: str) -> Tokens:
        return [*self.read(request)[1], *(int(word) for word in answer.split())]

    def begin_answer(self, request: GenerateRequest, started: float) -> ChunkBuilder:
        from workbench.inference.chunk_builder import ChunkBuilder

        return ChunkBuilder(request, self.read(request)[1], started, (), None)


def _spell(tokens: Tokens) -> str:
    return " ".join(map(str, tokens))


def _find_pace(timeline: list[tuple[float, int, int]], rows: int, new: int) -> float:
    """Seconds for a token of every row, between the last row's first token and the first row's last one."""
    begun = max(when for when, _, number in timeline if number == 1)
    ended = min((when for when, _, number in timeline if number == new), default=begun)
    tokens = {(request, number) for when, request, number in timeline if begun < when <= ended}
    return (ended - begun) * rows / len(tokens) if tokens else float("nan")
