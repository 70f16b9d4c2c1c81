"""Answers to one conversation as token ids, and their likelihoods as the numbers come in.

What all of them begin with is evaluated once; the rest of each is a branch. Knows nothing of caches or batches (the
schedulers), nor of text (prompts.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from workbench.engines.engine import Likelihood, Request, Weighed, Weighing
from workbench.engines.likelihood import Logits, log_probabilities
from workbench.engines.limits import check_length
from workbench.engines.prompts import Prompts, shared_length


class Branch:
    """One answer. tokens: behind the shared beginning. skipped: how many of them belong to the conversation.

    reproducible: what the likelihood says of how it was computed.
    """

    def __init__(self, tokens: list[int], skipped: int, size: int, reproducible: bool = False) -> None:
        self.tokens = tokens
        self._reproducible = reproducible
        self._skipped = skipped
        self._size = size
        self._logprob = 0.0
        self._greedy = True
        self._seen = 0

    @property
    def inputs(self) -> list[int]:
        """What has to be evaluated: the numbers for the first token come from the shared beginning."""
        return self.tokens[:-1]

    @property
    def done(self) -> bool:
        return self._seen == len(self.tokens)

    def take(self, logits: Logits) -> None:
        """The numbers for the next tokens, one row each."""
        tokens = self.tokens[self._seen : self._seen + len(logits)]
        logprobs, likeliest = log_probabilities(logits, tokens)
        counted = max(0, self._skipped - self._seen)
        self._logprob += float(logprobs[counted:].sum())
        self._greedy = self._greedy and bool(likeliest[counted:].all())
        self._seen += len(tokens)

    @property
    def likelihood(self) -> Likelihood:
        count = len(self.tokens) - self._skipped
        return Likelihood(self._logprob, count, self._size, self._greedy, self._reproducible)


class Branches:
    """The answers of one weighing. shared: what the conversation and all of them begin with."""

    def __init__(self, weighing: Weighing, prompts: Prompts, context_tokens: int, reproducible: bool = False) -> None:
        """Raises EngineError and TemplateError as for a request. reproducible: see Branch."""
        request = weighing.request
        prompt = prompts.read(request)[1]
        check_length(len(prompt), context_tokens)
        read = [prompts.read_answer(request, answer) for answer in weighing.answers]
        for ids in read:
            check_length(len(ids) - 1, context_tokens)
        own = [shared_length(prompt, ids) for ids in read]
        self.request: Request = request
        self.shared: list[int] = prompt[: min(own, default=len(prompt))]
        sizes = [len(answer.encode("utf-8", "replace")) for answer in weighing.answers]
        start = len(self.shared)
        self.all = [
            Branch(ids[start:], skipped - start, size, reproducible)
            for ids, skipped, size in zip(read, own, sizes, strict=True)
        ]

    def begin(self, logits: Logits) -> None:
        """Take the numbers behind the shared beginning: one row, which every branch's first token is read from."""
        for branch in self.all:
            if branch.tokens:
                branch.take(logits[None] if logits.ndim == 1 else logits)

    @property
    def longest(self) -> int:
        """Tokens that are evaluated for the longest answer, conversation included."""
        return len(self.shared) + max((len(branch.inputs) for branch in self.all), default=0)

    @property
    def left(self) -> Sequence[Branch]:
        """The branches that need more numbers."""
        return [branch for branch in self.all if not branch.done]

    @property
    def outcome(self) -> Weighed:
        return Weighed(self.request.id, tuple(branch.likelihood for branch in self.all))
