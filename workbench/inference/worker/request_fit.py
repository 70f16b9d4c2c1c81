"""Fit a request's prompt into its engine's context, with the engine's own chat template and tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from workbench.inference.types import GenerateRequest, ShownPicture, Tokenized
from workbench.models.reference import ModelInfo
from workbench.prompting.context_fit import (
    Budget,
    EncodedPrompt,
    Fitted,
    PictureCount,
    RenderedPrompt,
    describe_dropped,
    fit_prompt,
    too_long,
)
from workbench.prompting.prompt import Message


class PromptTokenizer(Protocol):
    """What of an engine is needed to fit a prompt."""

    @property
    def info(self) -> ModelInfo: ...

    def tokenize(self, request: GenerateRequest) -> Tokenized: ...

    def count(self, requests: Sequence[GenerateRequest]) -> tuple[int, ...]: ...


class FittedRequest(NamedTuple):
    """A request with the messages that are sent. notes: what was left out of its prompt, one sentence each."""

    request: GenerateRequest
    budget: Budget
    notes: tuple[str, ...] = ()


def fit_request(engine: PromptTokenizer, request: GenerateRequest) -> FittedRequest:
    """The request as the engine takes it. Raises BudgetError where its prompt does not fit, and TemplateError.

    The parts are found for a request that someone looks on at, and for one that does not fit: a batch of thousands has
    no use for them.
    """
    prompt = request.prompt
    if prompt is None:
        return FittedRequest(request, measure_request(engine, request))
    fitted = _fit(engine, request, prompt, detailed=request.priority == 0)
    if fitted.budget.over:
        raise too_long(fitted.budget, prompt.overflow)
    notes = describe_dropped(fitted.budget.dropped, len(prompt.examples))
    return FittedRequest(_with_messages(request, fitted.messages), fitted.budget, notes)


def measure_request(engine: PromptTokenizer, request: GenerateRequest) -> Budget:
    """How a request's prompt divides over the context, over the limit where it does not fit. Raises TemplateError."""
    if request.prompt:
        return _fit(engine, request, request.prompt, detailed=True).budget
    tokens = engine.count((request,))[0]
    return Budget(tokens, 0, 0, request.sampling.max_tokens, engine.info.context_tokens)


def _fit(engine: PromptTokenizer, request: GenerateRequest, prompt: RenderedPrompt, detailed: bool) -> Fitted:
    tokenizer = _EngineTokenizer(engine, request)
    return fit_prompt(prompt, request.sampling.max_tokens, engine.info.context_tokens, tokenizer, detailed)


def _with_messages(request: GenerateRequest, messages: tuple[Message, ...]) -> GenerateRequest:
    return msgspec.structs.replace(request, messages=messages, prompt=None)


class _EngineTokenizer:
    """The engine's tokenizer for conversations like a request's; engines remember what they have just read."""

    def __init__(self, engine: PromptTokenizer, request: GenerateRequest) -> None:
        self._engine, self._request = engine, request

    def count(self, messages: tuple[Message, ...]) -> int:
        return self._engine.count((_with_messages(self._request, messages),))[0]

    def encode(self, messages: tuple[Message, ...]) -> EncodedPrompt:
        found = self._engine.tokenize(_with_messages(self._request, messages))
        own = {at for one in found.pictures for at in range(one.start, one.start + one.tokens)}
        offsets = [offset for at, offset in enumerate(found.offsets) if at not in own] if own else found.offsets
        return EncodedPrompt(found.text, found.starts, offsets, list(map(_count_picture, found.pictures)))

    def count_text(self, text: str) -> int:
        texts = (text, "0")  # the second is one token, behind what the model wants in front of any text
        requests = [_with_messages(self._request, (Message("user", one),)) for one in texts]
        whole, least = self._engine.count([msgspec.structs.replace(one, mode="completion") for one in requests])
        return whole - least + 1 if text else 0


def _count_picture(one: ShownPicture) -> PictureCount:
    return PictureCount(one.name, one.width, one.height, one.tokens)
