"""Whether two forms of a model are the same model: the same tokens and chats, the same ends, the same probabilities.

What `parity` does for one conversation, over a hundred texts and some thirty conversations, and with numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from workbench.analysis.agreement import Side
from workbench.analysis.equivalence_texts import list_conversations, list_questions, list_special_texts, list_texts
from workbench.analysis.parity import compare_tokens
from workbench.errors import EngineError, PromptError, WorkbenchError
from workbench.inference.client import gather_now
from workbench.inference.model_client import ModelClient
from workbench.inference.pool import Pool
from workbench.inference.types import GenerateRequest, LoglikelihoodRequest, Tokenized
from workbench.prompting.prompt import Message, Mode

CONTEXT_TOKENS = 512
"""Enough for every text here; the cache of a whole context would only take memory."""

BOUNDS = {"f32": 0.01, "f16": 0.05, "bf16": 0.15, "q8_0": 0.3}
"""How far rounding to a type may move the mean log-probability (natural) of an answer's tokens."""
PACKED_BOUND = 3.0
"""The same for types that are meant to lose something."""

_MOST_NAMED = 3


class VocabularySample(NamedTuple):
    """What is known of the tokenizer in question, to find texts that could give it away.

    words: some of its tokens as text. specials: the texts of its special tokens. composes: it brings text into the
    composed form of Unicode.
    """

    words: Sequence[str] = ()
    specials: Sequence[str] = ()
    composes: bool = False


class Equivalence(NamedTuple):
    """How much was compared, and every kind of difference, one sentence each. logprob: the largest one found."""

    texts: int
    conversations: int
    answers: int
    logprob: float
    differences: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.differences

    @property
    def summary(self) -> str:
        return (
            f"{self.texts} texts and {self.conversations} conversations were split into the same tokens; the"
            f" log-probabilities of {self.answers} answers differ by {self.logprob:.2g} a token at most."
        )


def compare_forms(
    before: Side, after: Side, pool: Pool, bound: float, vocabulary: VocabularySample | None = None
) -> Equivalence:
    """Everything in which two forms of a model differ by more than `bound`. Raises EngineError when one cannot answer.

    bound: of the mean difference of the log-probabilities of an answer's tokens. vocabulary: None compares no tokens,
    for two forms that share a tokenizer.
    """
    before, after = _shorten(before), _shorten(after)
    texts: tuple[str, ...] = ()
    conversations: tuple[tuple[Message, ...], ...] = ()
    found: list[str] = []
    if vocabulary is not None:
        texts = list_texts(vocabulary.words, vocabulary.composes) + list_special_texts(vocabulary.specials)
        conversations = list_conversations()
        plain = [(Message("user", text),) for text in texts]
        found += _compare_tokens(before, after, pool, plain, "completion")
        found += _compare_tokens(before, after, pool, conversations, "chat")
    logprob, answers, problems = _compare_answers(before, after, pool, bound)
    return Equivalence(len(texts), len(conversations), answers, logprob, (*found, *problems))


def measure_rounding(before: Side, after: Side, pool: Pool) -> float:
    """The largest mean difference of an answer's log-probabilities between two forms. Raises EngineError."""
    return _compare_answers(_shorten(before), _shorten(after), pool, float("inf"))[0]


def _shorten(side: Side) -> Side:
    longest = min(side.model.context_tokens or CONTEXT_TOKENS, CONTEXT_TOKENS)
    return side._replace(model=msgspec.structs.replace(side.model, context_tokens=longest))


def _compare_tokens(
    before: Side, after: Side, pool: Pool, conversations: Sequence[Sequence[Message]], mode: Mode
) -> list[str]:
    """One sentence for all that are read otherwise, with the first of them."""
    requests = [GenerateRequest(0, tuple(messages), mode=mode) for messages in conversations]
    read = gather_now(
        _tokenize(client, request)
        for client in (pool.client(before.model), pool.client(after.model))
        for request in requests
    )
    differing: list[str] = []
    for messages, first, second in zip(conversations, read[: len(requests)], read[len(requests) :], strict=True):
        difference = _describe(first, second)
        if difference:
            differing.append(f"{messages[-1].content[:60]!r}: {difference}")
    if not differing:
        return []
    kind = "texts" if mode == "completion" else "conversations"
    shown = "; ".join(differing[:_MOST_NAMED])
    return [f"{len(differing)} of {len(conversations)} {kind} are read otherwise, such as {shown}"]


async def _tokenize(client: ModelClient, request: GenerateRequest) -> Tokenized | PromptError:
    """What a model makes of a conversation, or why its template refuses it."""
    try:
        return await client.tokenize(request)
    except PromptError as error:
        return error


def _describe(first: Tokenized | PromptError, second: Tokenized | PromptError) -> str:
    """What differs; empty where nothing does, or where both templates refuse."""
    if isinstance(first, PromptError) or isinstance(second, PromptError):
        refused = [one for one in (first, second) if isinstance(one, PromptError)]
        return "" if len(refused) == 2 else f"one template refuses it ({refused[0].message[:200]})"
    parity = compare_tokens(first, second)
    if not parity.stretches:
        return ""
    stretch = parity.stretches[0]
    left, right = ("".join(pieces)[:60] for pieces in (stretch.left, stretch.right))
    ids = [" ".join(map(str, ids[:8])) or "none" for ids in (stretch.left_ids, stretch.right_ids)]
    return f"from token {stretch.position} on, {left!r} ({ids[0]}) became {right!r} ({ids[1]})"


def _compare_answers(before: Side, after: Side, pool: Pool, bound: float) -> tuple[float, int, list[str]]:
    """The largest difference a token, the number of answers, and what goes beyond the bound."""
    questions = list_questions()
    largest, count, worst = 0.0, 0, ""
    try:
        found = gather_now(
            pool.client(side.model).loglikelihood(
                LoglikelihoodRequest(0, (Message("user", text),), answers, "completion", side.adapters)
            )
            for side in (before, after)
            for text, answers in questions
        )
    except WorkbenchError as error:
        raise EngineError(f"The two forms could not be compared: {error.message}", error.hint, error.details) from error
    for (text, answers), first, second in zip(questions, found[: len(questions)], found[len(questions) :], strict=True):
        for answer, left, right in zip(answers, first, second, strict=True):
            count += 1
            difference = abs(left.per_token - right.per_token)
            if difference > largest or (math.isnan(difference) and not math.isnan(largest)):
                largest = difference
                worst = f"{answer!r} after {text!r} went from {left.per_token:.4g} to {right.per_token:.4g} a token"
    if largest <= bound:
        return largest, count, []
    return largest, count, [f"log-probabilities differ by {largest:.3g} where rounding explains {bound:.2g}: {worst}"]
