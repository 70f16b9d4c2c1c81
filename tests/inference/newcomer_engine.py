"""The smallest engine that does all an engine must: what somebody would write who has only read the protocol."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from workbench.inference.limits import CONSTRAINTS, check_length
from workbench.inference.logprobs import token_logprob
from workbench.inference.prompt_encoder import PromptEncoder
from workbench.inference.sampler import Sampler
from workbench.inference.sampling_fields import check_sampling
from workbench.inference.sampling_tokens import find_tokens
from workbench.inference.scheduling.loglikelihood import Continuations
from workbench.inference.scheduling.sequences import SequenceQueue, SequenceState
from workbench.inference.types import Chunk, GenerateRequest, LoglikelihoodRequest, Outcome, Progress, Tokenized
from workbench.inference.vocabulary import Vocabulary
from workbench.models.reference import ModelInfo

CONTEXT, SIDE_BY_SIDE, END = 200, 8, 256


class ByteVocabulary(Vocabulary):
    """A token is a byte; the one behind them ends an answer."""

    def __init__(self) -> None:
        super().__init__(END + 1, None, END, {END: "</s>"}, False)

    def tokenize(self, text: str, special: bool) -> list[int]:
        return list(text.encode("utf-8", "replace"))

    def token_to_bytes(self, token: int) -> bytes:
        return b"</s>" if token == END else bytes((token,))

    def ends(self, token: int) -> bool:
        return token == END


class NewcomerEngine:
    """Writes letters that the last three tokens choose."""

    status = None
    info = ModelInfo("newcomer", "", 0, 0, CONTEXT, END + 1, False, CONTEXT, unsupported_sampling=CONSTRAINTS)

    def __init__(self) -> None:
        self._vocabulary = ByteVocabulary()
        self._prompts = PromptEncoder(self._vocabulary, None)
        self._queue = SequenceQueue(self._vocabulary, CONTEXT, time.perf_counter, self._release)
        self._results: dict[int, Outcome] = {}
        self._seen: dict[int, list[int]] = {}

    @property
    def busy(self) -> bool:
        return self._queue.busy or bool(self._results)

    def submit(self, request: GenerateRequest) -> None:
        check_sampling(request.sampling, CONSTRAINTS)
        prompt = self._prompts.read(request)[1]
        check_length(len(prompt), CONTEXT)
        sampler = Sampler(request.sampling, find_tokens(request.sampling, self._vocabulary), prompt)
        chunks = self._prompts.begin_answer(request, time.perf_counter())
        self._queue.waiting.append(SequenceState(chunks, sampler))
        self._seen[request.id] = []

    def loglikelihood(self, asked: LoglikelihoodRequest) -> None:
        found = Continuations(asked, self._prompts, CONTEXT)
        found.begin(self._evaluate(found.shared))
        for one in found.left:
            inputs = [*found.shared, *one.inputs]
            one.accept(np.stack([self._evaluate(inputs[: at + 1]) for at in range(len(found.shared), len(inputs))]))
        self._results[asked.id] = found.outcome

    def cancel(self, request_id: int) -> None:
        self._queue.cancel(request_id)
        if request_id in self._results:
            self._results[request_id] = Chunk(request_id, stop_reason="cancelled")

    def abort(self, request_id: int) -> None: ...
    def preempt(self, sign: int) -> None: ...
    def resume(self, sign: int) -> None: ...

    def step(self) -> Sequence[Outcome]:
        events = [*self._results.values(), *self._queue.end_cancelled()]
        self._results.clear()
        while self._queue.waiting and len(self._queue.running) < SIDE_BY_SIDE:
            self._queue.running.append(self._queue.waiting.popleft())
            events.append(Progress(self._queue.running[-1].id, "running"))
        return [*events, *(event for one in tuple(self._queue.running) for event in self._decode(one))]

    def tokenize(self, request: GenerateRequest) -> Tokenized:
        return self._prompts.show(request)

    def count(self, requests: Sequence[GenerateRequest]) -> tuple[int, ...]:
        return tuple(len(self._prompts.read(request)[1]) for request in requests)

    def close(self) -> None:
        self._queue.clear()

    def _decode(self, sequence: SequenceState) -> Sequence[Outcome]:
        seen = self._seen[sequence.id]
        seen += sequence.pending
        sequence.advance(len(sequence.pending))
        logits = self._evaluate(seen)
        token = sequence.sampler.choose(logits)
        if count := sequence.chunks.request.top_logprobs:
            sequence.chunks.note(token_logprob(logits, token, count, self._vocabulary.token_to_bytes))
        return self._queue.write(sequence, token)

    def _evaluate(self, tokens: Sequence[int]) -> np.ndarray:
        logits = np.random.default_rng(tuple(tokens[-3:])).normal(0.0, 3.0, END + 1).astype(np.float32)
        logits[[token for token in range(END + 1) if not chr(token).isascii() or not chr(token).isalpha()]] -= 50.0
        return logits

    def _release(self, sequence: SequenceState, failed: bool) -> None:
        queue = self._queue.running if sequence in self._queue.running else self._queue.waiting
        queue.remove(sequence)
