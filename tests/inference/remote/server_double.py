"""A server in memory that honours or ignores fields as it is told: what a probe may meet."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.errors import EngineError, ModelError
from workbench.inference.remote.connection import RemoteAnswer
from workbench.inference.remote.http import Reply
from workbench.inference.remote.server_model import ServerAdapter, ServerModel
from workbench.inference.types import Completion, GenerateRequest, TokenLogprob, TopLogprob
from workbench.models.reference import Applied

COUNTED = ("one", ", two", ", three", ", four", ", five", ", six", ", seven", ", eight")
REPEATED = ("yes", " yes", " yes", " yes", " yes", " maybe")
_CONSTRAINED = {"json_schema": '{"probe": 1}', "regex": "1234", "grammar": "qxyz"}


class ServerDouble:
    """See the module; a Connection.

    ignores: fields without effect. refuses: fields that are refused. adapters: name -> how much each changes the
    log-probabilities; 0 is one that is not applied. keeps_adapter: after an adapter the base answers as it does.
    """

    def __init__(
        self,
        dialect: str = "llama-server",
        ignores: Sequence[str] = (),
        refuses: Sequence[str] = (),
        adapters: Mapping[str, float] | None = None,
        keeps_adapter: bool = False,
        logprobs: str = "raw",
        prompt_tokens: int = 20,
        forced_offset: float = 0.0,
        underflows: bool = False,
    ) -> None:
        self.address, self.dialect, self.model_name = "http://127.0.0.1:9", dialect, "double"
        self.unsupported: frozenset[str] = frozenset()
        self.ignores, self.refuses = set(ignores), set(refuses)
        self.adapters = dict(adapters or {})
        self.keeps_adapter, self.logprobs, self.prompt_tokens = keeps_adapter, logprobs, prompt_tokens
        self.forced_offset, self.underflows = forced_offset, underflows
        self.asked: list[GenerateRequest] = []
        self.bodies: list[tuple[str, Mapping[str, Any]]] = []
        self._drawn = 0
        self._stuck = 0.0

    async def describe(self) -> ServerModel:
        listed = tuple(ServerAdapter(name, index) for index, name in enumerate(self.adapters))
        return ServerModel(
            "double", self.dialect, "double 1.0", context_tokens=512, template="{{ m }}", adapters=listed
        )

    def adapter_fields(self, applied: Sequence[Applied]) -> dict[str, Any]:
        return {"lora": [one.adapter.name for one in applied]} if self.adapters else {}

    def template_kwargs(self, request: GenerateRequest) -> dict[str, Any]:
        return {}

    async def get(self, path: str) -> Reply:
        return Reply(404, "nothing", {})

    async def post(self, path: str, body: Mapping[str, Any]) -> Reply:
        self.bodies.append((path, body))
        if path == "/apply-template":
            return Reply(200, {"prompt": "".join(f"<{turn['content']}>" for turn in body["messages"])}, {})
        if path == "/tokenize" and "messages" in body:
            return Reply(200, {"tokens": list(b"".join(turn["content"].encode() for turn in body["messages"]))}, {})
        if path == "/tokenize":
            return Reply(200, {"tokens": _spell(body.get("content", body.get("prompt")))}, {})
        if path == "/detokenize":
            return Reply(200, {"prompt": bytes(body["tokens"]).decode()}, {})
        if path == "/completion":
            return self._force(body)
        if path == "/v1/completions" and "prompt_logprobs" in body:
            told = [None, *({str(token): {"logprob": self._weigh(token), "rank": 1}} for token in body["prompt"][1:])]
            return Reply(200, {"choices": [{"prompt_logprobs": told}]}, {})
        return Reply(404, {"error": "nothing"}, {})

    async def answer(self, request: GenerateRequest) -> RemoteAnswer:
        self.asked.append(request)
        change = self._apply(request.adapters)
        sampling = request.sampling
        for name in self.refuses:
            if name == "top_logprobs" and request.top_logprobs:
                raise EngineError("no logprobs here")
            if name != "top_logprobs" and getattr(sampling, name) != getattr(type(sampling)(), name) and name != "seed":
                raise EngineError(f"no {name} here")
            if name == "seed" and sampling.temperature:
                raise EngineError("no seed here")
        pieces = self._write(request)
        text = "".join(pieces)
        for stop in () if "stop" in self.ignores else sampling.stop:
            text = text.split(stop)[0]
        tokens = ()
        if request.top_logprobs and "top_logprobs" not in self.ignores:
            heat = sampling.temperature if self.logprobs == "processed" else 0.0
            tokens = tuple(_report(piece, at, change, heat) for at, piece in enumerate(pieces))
        text += "!" if change > 1 else ""
        return RemoteAnswer(Completion(text, prompt_tokens=self.prompt_tokens), tokens, "double")

    def _apply(self, applied: Sequence[Applied]) -> float:
        for one in applied:
            if one.adapter.name not in self.adapters:
                raise ModelError(f"no adapter {one.adapter.name}")
        change = sum(self.adapters[one.adapter.name] * one.scale for one in applied)
        self._stuck = change if self.keeps_adapter and change else self._stuck
        return change or self._stuck

    def _write(self, request: GenerateRequest) -> list[str]:
        sampling, last = request.sampling, request.messages[-1]
        for name, text in _CONSTRAINED.items():
            if getattr(sampling, name) and name not in self.ignores:
                return [text]
        if sampling.temperature:
            self._drawn += 1
            order = list(COUNTED)
            random.Random(self._drawn if "seed" in self.ignores else sampling.seed).shuffle(order)
            return order
        if last.role == "assistant":
            whole = "".join(COUNTED)
            return [whole[len(last.content) :]] if "continuation" not in self.ignores else ["Sure"]
        pieces = list(REPEATED if "yes" in last.content else ["Hello"] if "hello" in last.content else COUNTED)
        for name in ("frequency_penalty", "presence_penalty", "repetition_penalty"):
            if getattr(sampling, name) != getattr(type(sampling)(), name) and name not in self.ignores:
                pieces = list(dict.fromkeys(pieces))
        banned = (
            () if "logit_bias" in self.ignores else [text for text, bias in sampling.logit_bias.items() if bias < 0]
        )
        return [piece for piece in pieces if piece not in banned]

    def _force(self, body: Mapping[str, Any]) -> Reply:
        ((token, _),) = body["logit_bias"]
        logprob = -3.4e38 if self.underflows else self._weigh(token)
        told = {"id": token, "logprob": logprob, "top_logprobs": [{"id": token if token == 1 else 1}]}
        return Reply(200, {"completion_probabilities": [told]}, {})

    def _weigh(self, token: int) -> float:
        return _LOGPROBS.get(token, -2.0) + self.forced_offset


_LOGPROBS = {1: -0.25, 2: -1.5, 3: -2.5}
_IDS = {"one": 1, "uno": 2, "un": 3}


def _spell(text: str) -> list[int]:
    """A word of the first place's alternatives is one token, anything else a token a character."""
    found = re.split(r"(?<=>)(uno|one|un)$", text)
    return [*map(ord, found[0]), *(_IDS[word] for word in found[1:] if word)]


def _report(piece: str, at: int, change: float, heat: float) -> TokenLogprob:
    def warm(logprob: float) -> float:
        return logprob / (1 + heat) - change

    if at:
        return TokenLogprob(piece, warm(-0.5), (TopLogprob(piece, warm(-0.5)), TopLogprob("x", warm(-2.0))))
    tops = tuple(TopLogprob(text, warm(_LOGPROBS[number])) for text, number in _IDS.items())
    return TokenLogprob(piece, warm(-0.25), tops)
