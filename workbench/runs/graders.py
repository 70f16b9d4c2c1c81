"""What graders say of an answer: the scorers' calls to models, and the replies that are known from before."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from workbench.errors import ModelError, ServerMismatchError, WorkbenchError
from workbench.inference.limits import loosen
from workbench.inference.model_client import ModelClient
from workbench.inference.reward.client import RewardModels
from workbench.inference.types import GenerateRequest, Sampling
from workbench.models.adapter_config import find_named_base
from workbench.models.reference import Model
from workbench.runs.bench import AdapterChoice
from workbench.runs.cell_prompt import BATCH_PRIORITY, CellPrompt
from workbench.runs.cost import Price, price_answer
from workbench.runs.provenance import AdapterTrace, ModelTrace, digest_question, name_engine, trace_adapter, trace_model
from workbench.runs.serialisation import UNREADABLE
from workbench.runs.sources import Sources
from workbench.scoring.grader_request import GraderReply, GraderRequest, LoglikelihoodCall, ModelCall, RewardCall
from workbench.store.cells import find_reply
from workbench.store.store import Store


@dataclass(frozen=True, slots=True)
class GraderReplies:
    """replies: in the order of the requests. new: digest and text of those that were not known before.

    known: there were requests, and every reply was known before. spent: money, for the new ones."""

    replies: tuple[GraderReply, ...] = ()
    new: tuple[tuple[bytes, str], ...] = ()
    known: bool = False
    spent: float = 0.0


class _GraderAnswer(NamedTuple):
    """digest: under which the reply is to be kept; None where it was known before, or chance determines it. cost: of a
    reply that was not known before."""

    reply: GraderReply
    digest: bytes | None = None
    cost: float = 0.0


class Graders:
    """The models that the scorers of a run call. use_cache: take replies that are known already. For one thread."""

    def __init__(
        self,
        sources: Sources,
        store: Store,
        client: Callable[[Model], ModelClient],
        use_cache: bool,
        find_price: Callable[[Model, str], Price | None] = lambda model, name: None,
        prove: Callable[[str, Model], Awaitable[None]] | None = None,
        others: Sequence[Store] = (),
    ) -> None:
        """find_price: of a model, under the name that a scorer has for it. prove: makes sure of a model's server before
        it is called. others: stores whose replies are taken too."""
        self._sources, self._store, self._client, self._use_cache = sources, store, client, use_cache
        self._find_price, self._prove = find_price, prove
        self._stores = (store, *others)
        self._traces: dict[str, ModelTrace] = {}
        self._load_errors: dict[str, str] = {}
        self._rewards = RewardModels()
        self._reward_traces: dict[tuple[str, str], tuple[ModelTrace, AdapterTrace]] = {}
        self._reward_errors: dict[RewardCall, str] = {}

    def close(self) -> None:
        """End the processes of reward models."""
        self._rewards.close()

    async def ask(self, requests: Sequence[GraderRequest], prompt: CellPrompt | None) -> GraderReplies:
        """The replies to the requests on one cell; one that fails says so in its reply.

        prompt: the cell's own, which calls for likelihoods and rewards go by.
        """
        if not requests:
            return GraderReplies()
        asked = await asyncio.gather(*(self._ask(request, prompt) for request in requests))
        return GraderReplies(
            tuple(one.reply for one in asked),
            tuple((one.digest, msgspec.json.encode(one.reply).decode()) for one in asked if one.digest),
            all(not one.digest and not one.reply.problem for one in asked),
            sum(one.cost for one in asked),
        )

    async def _ask(self, request: GraderRequest, prompt: CellPrompt | None) -> _GraderAnswer:
        try:
            digest = await self._digest(request, prompt)
            known = self._find(digest) if digest and self._use_cache else None
            if known:
                return _GraderAnswer(known)
            if isinstance(request, RewardCall):
                return _GraderAnswer(GraderReply(reward=await self._rate(request, _require(prompt))), digest)
            if isinstance(request, LoglikelihoodCall):
                prompt = _require(prompt)
                found = await prompt.loglikelihood(self._client(prompt.model), request.answers)
                return _GraderAnswer(GraderReply(likelihoods=found), digest)
            reply = await self._call(request)
            return _GraderAnswer(reply, digest, self._price(request, reply))
        except ServerMismatchError:
            raise
        except WorkbenchError as error:
            return _GraderAnswer(GraderReply(problem=error.message))

    async def _rate(self, request: RewardCall, prompt: CellPrompt) -> float:
        """The number of a reward model; one that cannot be loaded is not tried again."""
        key = msgspec.structs.replace(request, answer="")
        if key in self._reward_errors:
            raise ModelError(self._reward_errors[key])
        base, adapter = self._find_reward_model(request)
        asked = await prompt.as_asked(self._client(prompt.model))
        asked = msgspec.structs.replace(asked, chat_template_kwargs=base.model.chat_template_kwargs)
        try:
            return await asyncio.to_thread(
                self._rewards.score, adapter.applied.adapter, base.model, asked, request.answer
            )
        except ModelError as error:
            self._reward_errors[key] = error.message
            raise

    def _find_reward_model(self, request: RewardCall) -> tuple[ModelTrace, AdapterTrace]:
        """Its base and its adapter. Raises ModelError."""
        key = (request.adapter, request.base)
        if key not in self._reward_traces:
            (applied,) = self._sources.find_adapters((AdapterChoice(request.adapter),))
            base = self._sources.find_model(request.base or find_named_base(applied.adapter))
            self._reward_traces[key] = (trace_model(base, self._store), trace_adapter(applied, self._store))
        return self._reward_traces[key]

    def _price(self, request: ModelCall, reply: GraderReply) -> float:
        """What a judge's reply cost, by its tokens."""
        price = self._find_price(self._trace(request.model).model, request.model)
        return price_answer(price, reply.completion, 0.0) if reply.completion else 0.0

    async def _call(self, request: ModelCall) -> GraderReply:
        """A model that cannot even be loaded is not tried again."""
        name = request.model
        if name in self._load_errors:
            raise ModelError(self._load_errors[name])
        model = self._trace(name).model
        if self._prove:
            await self._prove(name, model)
        client = self._client(model)
        try:
            sampling = loosen(request.sampling, client.info or await client.load())
            call = GenerateRequest(0, request.messages, sampling, request.mode, priority=BATCH_PRIORITY)
            return GraderReply(completion=await client.complete(call))
        except WorkbenchError as error:
            if client.info is None:
                self._load_errors[name] = error.message
            raise

    async def _digest(self, request: GraderRequest, prompt: CellPrompt | None) -> bytes | None:
        """A fingerprint of all that determines the reply; None where chance does."""
        if isinstance(request, ModelCall):
            model = self._trace(request.model)
            engine = name_engine(model.model.format)
            return digest_question(model, (), request.messages, request.mode, request.sampling, engine)
        prompt = _require(prompt)
        own, messages = prompt.origin, await prompt.sent_messages(self._client(prompt.model))
        if isinstance(request, RewardCall):
            base, adapter = self._find_reward_model(request)
            engine = name_engine(base.model.format)
            judged = digest_question(base, (adapter,), messages, own.prompt.mode, Sampling(temperature=0.0), engine)
            assert judged is not None  # nothing is drawn
            return hashlib.blake2b(
                judged + msgspec.json.encode((request.answer, own.prompt.tools)), digest_size=16
            ).digest()
        sampling = msgspec.structs.replace(own.variant.sampling, temperature=0.0)
        mode = "reproducible" if own.variant.deterministic else ""
        asked = digest_question(own.model, own.adapters, messages, own.prompt.mode, sampling, own.engine, strategy=mode)
        assert asked is not None  # nothing is drawn
        return hashlib.blake2b(asked + msgspec.json.encode(request), digest_size=16).digest()

    def _find(self, digest: bytes) -> GraderReply | None:
        for store in self._stores:
            try:
                if body := find_reply(store, digest):
                    return msgspec.json.decode(body, type=GraderReply)
            except UNREADABLE:
                continue  # it is damaged: the model is called again
        return None

    def _trace(self, name: str) -> ModelTrace:
        if name not in self._traces:
            self._traces[name] = trace_model(self._sources.find_model(name), self._store)
        return self._traces[name]


def _require(prompt: CellPrompt | None) -> CellPrompt:
    if prompt is None:
        raise ModelError("This scorer is about the prompt of one call, and this answer has none.")
    return prompt
