"""Continuations of one conversation as token ids, and their log-likelihoods as the logits come in.

What all of them begin with is evaluated once. The rest of each is evaluated in a slot of its own that begins with that,
so that many continuations go in one batch; one of them in the conversation's own slot, which is cut afterwards.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from workbench.inference.chunk_builder import ChunkBuilder
from workbench.inference.limits import check_length
from workbench.inference.logprobs import Logits, log_probabilities
from workbench.inference.picture_tokens import PictureSpan
from workbench.inference.prompt_encoder import PromptEncoder
from workbench.inference.scheduling.sequences import SequenceState
from workbench.inference.types import GenerateRequest, Likelihood, LoglikelihoodRequest, LoglikelihoodResult
from workbench.prompting.prompt_parts import shared_length

_AT_ONCE = 256
"""Tokens of a request's continuations that are in the KV cache at the same time, unless a single one has more."""


class Continuation:
    """One continuation. tokens: behind the shared beginning. skipped: how many of them belong to the conversation.

    deterministic: what the likelihood says of how it was computed.
    """

    def __init__(self, tokens: list[int], skipped: int, size: int, deterministic: bool = False) -> None:
        self.tokens = tokens
        self._deterministic = deterministic
        self._skipped = skipped
        self._size = size
        self._logprob = 0.0
        self._greedy = True
        self._seen = 0
        self._first = (0.0, True)

    @property
    def inputs(self) -> list[int]:
        """What has to be evaluated: the logits for the first token come from the shared beginning."""
        return self.tokens[:-1]

    @property
    def done(self) -> bool:
        return self._seen == len(self.tokens)

    def begin(self, logits: Logits) -> None:
        """Take the logits for the first token."""
        self.accept(logits[None])
        self._first = self._logprob, self._greedy

    def accept(self, logits: Logits) -> None:
        """The logits for the next tokens, one row each."""
        tokens = self.tokens[self._seen : self._seen + len(logits)]
        logprobs, likeliest = log_probabilities(logits, tokens)
        counted = max(0, self._skipped - self._seen)
        self._logprob += float(logprobs[counted:].sum())
        self._greedy = self._greedy and bool(likeliest[counted:].all())
        self._seen += len(tokens)

    def restart(self) -> None:
        """Only the logits for the first token have come."""
        if self.tokens:
            self._seen = 1
            self._logprob, self._greedy = self._first

    @property
    def likelihood(self) -> Likelihood:
        count = len(self.tokens) - self._skipped
        return Likelihood(self._logprob, count, self._size, self._greedy, self._deterministic)


class Continuations:
    """The continuations of one request. shared: what the conversation and all of them begin with. pictures: in it."""

    pictures: tuple[PictureSpan, ...] = ()

    def __init__(
        self,
        asked: LoglikelihoodRequest,
        prompts: PromptEncoder,
        context_tokens: int,
        deterministic: bool = False,
    ) -> None:
        """Raises EngineError and TemplateError as for a request to generate."""
        request = asked.request
        prompt = prompts.read(request)[1]
        check_length(len(prompt), context_tokens)
        encoded = [prompts.read_answer(request, answer) for answer in asked.answers]
        for ids in encoded:
            check_length(len(ids) - 1, context_tokens)
        own = [shared_length(prompt, ids) for ids in encoded]
        self.request: GenerateRequest = request
        self.shared: list[int] = prompt[: min(own, default=len(prompt))]
        self.pictures = prompts.spans(request)
        sizes = [len(answer.encode("utf-8", "replace")) for answer in asked.answers]
        start = len(self.shared)
        self.all = [
            Continuation(ids[start:], skipped - start, size, deterministic)
            for ids, skipped, size in zip(encoded, own, sizes, strict=True)
        ]

    def begin(self, logits: Logits) -> None:
        """Take the logits behind the shared beginning, which every continuation's first token is read from."""
        for continuation in self.all:
            if continuation.tokens:
                continuation.begin(logits)

    @property
    def longest(self) -> int:
        """Tokens that are evaluated for the longest one, conversation included."""
        return len(self.shared) + max((len(continuation.inputs) for continuation in self.all), default=0)

    @property
    def left(self) -> list[Continuation]:
        """Those that need more logits."""
        return [continuation for continuation in self.all if not continuation.done]

    @property
    def outcome(self) -> LoglikelihoodResult:
        return LoglikelihoodResult(self.request.id, tuple(continuation.likelihood for continuation in self.all))


class Placement:
    """Where a continuation is evaluated. position: how many of its tokens are."""

    def __init__(self, continuation: Continuation, slot: int) -> None:
        self.continuation = continuation
        self.slot = slot
        self.position = 0

    @property
    def pending(self) -> list[int]:
        return self.continuation.inputs[self.position :]


class LoglikelihoodSequence(SequenceState):
    """A sequence that prefills a conversation, whose continuations are then evaluated. placements: where, now."""

    def __init__(
        self, chunks: ChunkBuilder, continuations: Continuations, adapters: Any = None, key: Hashable = None
    ) -> None:
        super().__init__(chunks, None, adapters, key, continuations.pictures)
        self.continuations = continuations
        self.placements: list[Placement] = []

    @property
    def greedy(self) -> bool:
        return False

    @property
    def wanted(self) -> int:
        sizes = [len(continuation.inputs) for continuation in self.continuations.all]
        return 1 + max(max(sizes, default=0), min(sum(sizes), _AT_ONCE))

    @property
    def unplaced(self) -> list[Continuation]:
        """Continuations that have no slot yet, and need one."""
        placed = [placement.continuation for placement in self.placements]
        return [one for one in self.continuations.left if one not in placed] if self.started else []

    @property
    def own_slot_free(self) -> bool:
        """Whether no continuation is evaluated in the conversation's own slot."""
        return all(placement.slot != self.slot for placement in self.placements)

    @property
    def spare(self) -> int:
        """KV cache of its own that no continuation takes; one is for the conversation's last token, which may be read
        twice."""
        return self.reserved - 1 - sum(len(placement.continuation.inputs) for placement in self.placements)
