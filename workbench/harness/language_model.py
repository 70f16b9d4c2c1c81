"""WorkbenchLM: lm-eval's LM over one model of the workbench, with its adapters. Imports lm-eval."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from lm_eval.api.model import LM

from workbench.harness.generation_args import read_generation_args
from workbench.harness.prefix_text import find_prefix_text
from workbench.inference.model_client import ModelClient
from workbench.inference.types import GenerateRequest, Likelihood, LoglikelihoodRequest, Sampling, Tokenized
from workbench.models.reference import Applied
from workbench.prompting.prompt import Message
from workbench.runs.cell_prompt import BATCH_PRIORITY

T = TypeVar("T")
_LEAST_ROOM = 8
"""Tokens of the context that a window leaves free: text that is cut may be spelled with a few more tokens."""


class WorkbenchLM(LM):  # type: ignore[misc]
    """Texts are sent as they are, in completion mode; a chat template is applied by `apply_chat_template` alone.

    truncated: contexts whose beginning was cut off because they did not fit; windows: documents that were cut into
    several. unused: generation arguments that were ignored, with the number of requests.
    """

    def __init__(self, client: ModelClient, adapters: Sequence[Applied] = (), concurrency: int = 32) -> None:
        super().__init__()
        self._client, self._adapters, self._concurrency = client, tuple(adapters), concurrency
        self._prefix = ""
        self.truncated = 0
        self.windows = 0
        self.unused: Counter[str] = Counter()

    # --- what lm-eval asks ---------------------------------------------------------------------------------------

    @property
    def tokenizer_name(self) -> str:
        """What lm-eval's cache of requests is keyed by."""
        return f"workbench:{self._client.model.name}"

    @property
    def max_length(self) -> int:
        """Tokens of the context."""
        return self._client.info.context_tokens if self._client.info else 0

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The conversation as the model's own template writes it; the last message of an assistant is continued."""
        messages = tuple(Message(one["role"], one["content"]) for one in chat_history)  # type: ignore[arg-type]
        return asyncio.run(self._client.tokenize(self._request(messages, Sampling(), "chat"))).text

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """The log-probability of each continuation, and whether it is what greedy decoding would give.

        Continuations of the same context are evaluated together.
        """
        pairs = [self._split(*request.args) for request in requests]
        answers: dict[str, dict[str, None]] = {}
        for context, continuation in pairs:
            answers.setdefault(context, {})[continuation] = None
        asked = [self._score(context, tuple(wanted)) for context, wanted in answers.items()]
        found: dict[tuple[str, str], Likelihood] = {}
        for (context, wanted), likelihoods in zip(answers.items(), self._run(asked), strict=True):
            found.update(zip(((context, one) for one in wanted), likelihoods, strict=True))
        return [(found[pair].logprob, found[pair].greedy) for pair in pairs]

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """The log-probability of each whole text behind the prefix token."""
        return self._run([self._score_text(request.args[0]) for request in requests])

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """The answers, without the text that stopped them."""
        return self._run([self._generate(*request.args) for request in requests])

    # --- how it is asked -----------------------------------------------------------------------------------------

    def _run(self, asked: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        async def run() -> list[T]:
            limit = asyncio.Semaphore(self._concurrency)

            async def one(coroutine: Coroutine[Any, Any, T]) -> T:
                async with limit:
                    return await coroutine

            return await asyncio.gather(*map(one, asked))

        return asyncio.run(run())

    def _split(self, context: str, continuation: str) -> tuple[str, str]:
        """As lm-eval does: white space at the end of the context belongs to the continuation."""
        if not context:
            return self._find_prefix(), continuation
        bare = context.rstrip()
        return (bare, context[len(bare) :] + continuation) if bare else (self._find_prefix(), context + continuation)

    def _find_prefix(self) -> str:
        self._prefix = self._prefix or find_prefix_text(self._client.model)
        return self._prefix

    async def _score(self, context: str, continuations: tuple[str, ...]) -> tuple[Likelihood, ...]:
        longest = max(continuations, key=len)
        fitting = await self._fit(context, longest, 0)
        return await self._client.loglikelihood(
            LoglikelihoodRequest(
                0, (Message("user", fitting),), continuations, "completion", self._adapters, BATCH_PRIORITY
            )
        )

    async def _score_text(self, text: str) -> float:
        if not text:
            return 0.0
        total, context = 0.0, self._find_prefix()
        windows = await self._cut(text)
        self.windows += len(windows) > 1
        for before, window in windows:
            (found,) = await self._score(before or context, (window,))
            total += found.logprob
        return total

    async def _cut(self, text: str) -> list[tuple[str, str]]:
        """The text in windows that fit the context, each with the token before it, as lm-eval's disjoint windows."""
        room = self.max_length - 2 * _LEAST_ROOM  # the token before it has room too
        if room <= 0 or len(text.encode()) <= room:
            return [("", text)]
        shown = await self._tokenize(text)
        if len(shown.ids) <= room:
            return [("", text)]
        lead = max(0, shown.text.find(text[:64]))
        starts = [offset - lead for offset in shown.offsets if offset >= lead]
        cuts = [*starts[0 : len(starts) : room], len(text)]
        befores = ["", *(text[starts[at - 1] : starts[at]] for at in range(room, len(starts), room))]
        return [(before, text[a:b]) for before, a, b in zip(befores, cuts, cuts[1:], strict=False)]

    async def _generate(self, context: str, given: dict[str, Any]) -> str:
        args = read_generation_args(given)
        self.unused.update(args.unused)
        fitting = await self._fit(context, "", args.sampling.max_tokens)
        request = self._request((Message("user", fitting),), args.sampling, "completion")
        return (await self._client.complete(request)).text

    async def _fit(self, context: str, answer: str, more: int) -> str:
        """The context without as much of its beginning as does not fit, as lm-eval does; counted."""
        room = self.max_length - more - _LEAST_ROOM
        if self.max_length <= 0 or len((context + answer).encode()) <= room:
            return context
        tokens = len((await self._tokenize(answer)).ids) if answer else 0
        shown = await self._tokenize(context)
        spare = len(shown.ids) + tokens - room
        if spare <= 0:
            return context
        self.truncated += 1
        return shown.text[shown.offsets[min(spare, len(shown.offsets) - 1)] :]

    async def _tokenize(self, text: str) -> Tokenized:
        return await self._client.tokenize(self._request((Message("user", text),), Sampling(), "completion"))

    def _request(self, messages: tuple[Message, ...], sampling: Sampling, mode: Any) -> GenerateRequest:
        return GenerateRequest(0, messages, sampling, mode, self._adapters, priority=BATCH_PRIORITY)
