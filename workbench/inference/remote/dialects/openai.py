"""OpenAI's chat completions and completions, as every server offers them in some form.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from workbench.inference.remote.dialects.protocol import AnswerPiece, DialectRequest, HttpCall, StreamedAnswer
from workbench.inference.remote.dialects.registry import (
    ask_models,
    check_answered,
    choose_model,
    list_models,
    refuse_tokens,
    register_dialect,
)
from workbench.inference.remote.http import ServerConnection
from workbench.inference.remote.server_model import ServerModel
from workbench.inference.remote.tool_calls import write_messages, write_tools
from workbench.inference.sampling_fields import DEFAULTS
from workbench.inference.types import StopReason, Tokenized, TokenLogprob, TopLogprob

_FINISH: Mapping[str, StopReason] = {"stop": "eos", "eos": "eos", "length": "length", "max_tokens": "length"}
_TOOL_CALLS = ("tool_calls", "function_call")
_MOST_STOPS = 4

_PLAIN: Mapping[str, str] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}


@register_dialect
class OpenAiDialect:
    """See the module. `fields`: of Sampling that are sent whatever their value, with their names on the wire."""

    name: ClassVar[str] = "openai"
    title: ClassVar[str] = "an OpenAI-compatible server"
    fields: ClassVar[Mapping[str, str]] = _PLAIN
    special: ClassVar[frozenset[str]] = frozenset(
        {"max_tokens", "stop", "seed", "logit_bias", "json_schema", "reasoning_effort"}
    )
    scales: ClassVar[bool] = False
    counts: ClassVar[bool] = False
    caches_by_slot: ClassVar[bool] = False
    continues: ClassVar[bool] = False
    most_stops: ClassVar[int] = _MOST_STOPS
    most_top_logprobs: ClassVar[int] = 20
    takes_template_kwargs: ClassVar[bool] = False
    takes_template: ClassVar[bool] = False
    without_effect: ClassVar[frozenset[str]] = frozenset({"repeat_last_n"})
    """Fields that mean nothing without another one that cannot be sent."""

    @property
    def sampling(self) -> frozenset[str]:
        return self.special | self.fields.keys() | self.without_effect

    async def describe(self, connection: ServerConnection, wanted: str) -> ServerModel:
        listed = await ask_models(connection)
        check_answered(connection, listed)
        models = list_models(listed)
        if not models and not wanted and listed.status != 200:
            raise connection.explain(listed)
        bases = [model["id"] for model in models if not model.get("parent")]  # vLLM lists adapters beside their base
        name = choose_model(connection, wanted, bases)
        entry = next((model for model in models if model["id"] == name), {})
        return await self.describe_model(connection, name, entry)

    async def describe_model(self, connection: ServerConnection, name: str, entry: Mapping[str, Any]) -> ServerModel:
        """What the server says of a model. entry: in its list of models; empty where it is not listed."""
        return ServerModel(name, self.name, self.title, context_tokens=read_count(entry, "context_window"))

    def check(self, ask: DialectRequest) -> Iterator[str]:
        sampling = ask.sampling
        for field in sampling.__struct_fields__:
            if field not in self.sampling and getattr(sampling, field) != getattr(DEFAULTS, field):
                yield f"{field} is set, which {self.title} does not take"
        if len(sampling.stop) > self.most_stops:
            yield f"stop has {len(sampling.stop)} texts, and {self.title} takes {self.most_stops}"
        if ask.request.top_logprobs > self.most_top_logprobs:
            yield f"top_logprobs is {ask.request.top_logprobs}, and {self.title} gives {self.most_top_logprobs}"
        if ask.continues and not self.continues:
            yield f"the last message is the assistant's, and {self.title} cannot continue it"
        if ask.request.chat_template_kwargs and not self.takes_template_kwargs:
            yield f"chat_template_kwargs are set, which {self.title} does not take"
        if ask.chat_template and not self.takes_template:
            yield f"a chat_template is set, which {self.title} does not take"
        if ask.model.sees is False and any(message.pictures for message in ask.request.messages):
            yield f"the prompt has a picture, and {ask.model.name} cannot see"
        if ask.request.tools and ask.request.mode == "completion":
            yield "the prompt has tools, and in completion mode there is no chat template to describe them"
        if ask.request.deterministic:
            yield "deterministic mode is on, which only engines on this machine have"
        yield from self.check_adapters(ask)
        yield from self.check_bias(ask)

    def check_bias(self, ask: DialectRequest) -> Iterator[str]:
        texts = [token for token in ask.sampling.logit_bias if not token.startswith("id:")]
        if texts:
            yield f"logit_bias names {', '.join(map(repr, texts[:3]))}, and {self.title} knows tokens as `id:7` only"

    def check_adapters(self, ask: DialectRequest) -> Iterator[str]:
        if ask.request.adapters:
            names = ", ".join(one.adapter.name for one in ask.request.adapters)
            yield f"adapters are applied ({names}), and {self.title} has none that a request can name"

    def call(self, ask: DialectRequest) -> HttpCall:
        chat = ask.request.mode == "chat"
        body: dict[str, Any] = {
            "model": ask.model.name,
            "stream": True,
            "stream_options": {"include_usage": True},
            **self.list_sampling(ask),
            **self.list_logprobs(ask.request.top_logprobs, chat),
            **self.list_adapters(ask),
            **self.list_more(ask),
        }
        if chat:
            turns = {"messages": write_messages(ask.request.messages), **write_tools(ask.request.tools)}
            return HttpCall("/v1/chat/completions", {**body, **turns})
        return HttpCall("/v1/completions", {**body, "prompt": join_messages(ask)})

    def list_sampling(self, ask: DialectRequest) -> dict[str, Any]:
        """How the next token is chosen, as it stands in the body of a request."""
        sampling = ask.sampling
        sent = {wire: getattr(sampling, field) for field, wire in self.fields.items() if field not in ask.left_out}
        if "max_tokens" not in ask.left_out:
            sent["max_completion_tokens" if ask.max_completion_tokens else "max_tokens"] = sampling.max_tokens
        if sampling.stop:
            sent["stop"] = list(sampling.stop)
        if sampling.seed is not None and "seed" not in ask.left_out:
            sent["seed"] = sampling.seed
        if sampling.reasoning_effort:
            sent["reasoning_effort"] = sampling.reasoning_effort
        if sampling.logit_bias:
            sent["logit_bias"] = {token.removeprefix("id:"): bias for token, bias in sampling.logit_bias.items()}
        return sent | self.list_constraint(ask)

    def list_constraint(self, ask: DialectRequest) -> dict[str, Any]:
        """The form that the answer is held to."""
        if ask.sampling.json_schema is None:
            return {}
        schema = {"name": "answer", "schema": ask.sampling.json_schema, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}

    def list_logprobs(self, count: int, chat: bool) -> dict[str, Any]:
        if not count:
            return {}
        return {"logprobs": True, "top_logprobs": count} if chat else {"logprobs": count}

    def list_adapters(self, ask: DialectRequest) -> dict[str, Any]:
        """What applies the adapters of a request; the bare base where it has none."""
        return {}

    def list_more(self, ask: DialectRequest) -> dict[str, Any]:
        """What only this dialect has."""
        return {}

    def read(self, event: dict[str, Any], answer: StreamedAnswer) -> Iterator[AnswerPiece]:
        answer.model = _text(event.get("model")) or answer.model
        answer.fingerprint = _text(event.get("system_fingerprint")) or answer.fingerprint
        if isinstance(event.get("usage"), dict):
            read_usage(event["usage"], answer)
        self.read_times(event, answer)
        choices = event.get("choices")
        own = (
            [one for one in choices if isinstance(one, dict) and one.get("index", 0) in (0, None)]
            if isinstance(choices, list)
            else []
        )
        if len(own) > 1:
            answer.refusal = "it sent two answers at a time under one index"
            return
        for choice in own:
            yield from self.read_choice(choice, answer)

    def read_times(self, event: dict[str, Any], answer: StreamedAnswer) -> None:
        """The server's own times, where it tells any."""

    def read_choice(self, choice: dict[str, Any], answer: StreamedAnswer) -> Iterator[AnswerPiece]:
        """The text of a choice, of a stream or of an answer that was not streamed."""
        delta = choice.get("delta") or choice.get("message") or {}
        delta = delta if isinstance(delta, dict) else {}
        thought = _text(delta.get("reasoning_content")) or _text(delta.get("reasoning"))
        if thought:
            yield AnswerPiece(thought, True)
        text = _text(delta.get("content")) or _text(choice.get("text"))
        tokens = tuple(read_logprobs(choice.get("logprobs")))
        if text or tokens:
            yield AnswerPiece(text, False, tokens)
        if _text(delta.get("refusal")):
            answer.refusal = _text(delta["refusal"])
        if delta.get("tool_calls") or delta.get("function_call"):
            take_calls(delta.get("tool_calls"), answer)
        if finish := _text(choice.get("finish_reason")):
            self.read_finish(finish, choice, answer)

    def read_finish(self, finish: str, choice: dict[str, Any], answer: StreamedAnswer) -> None:
        if finish == "content_filter":
            answer.refusal = "its content filter withheld the answer"
        elif finish in _TOOL_CALLS:
            take_calls(None, answer)
            answer.stop_reason = "eos"
        elif finish in ("error", "abort"):
            answer.refusal = f"it ended the answer with `{finish}`"
        else:
            stop = _FINISH.get(finish, "eos")
            named = choice.get("stop_reason")  # vLLM's: the stop string, or None at the model's own end
            at_stop = isinstance(named, str) if "stop_reason" in choice else answer.stops
            answer.stop_reason = "stop" if stop == "eos" and at_stop else stop

    async def tokenize(self, connection: ServerConnection, ask: DialectRequest) -> Tokenized:
        raise refuse_tokens(connection, self.title)


def join_messages(ask: DialectRequest) -> str:
    """A prompt that goes without a chat template."""
    return "".join(message.content for message in ask.request.messages)


def template_kwargs(ask: DialectRequest) -> dict[str, Any]:
    """The variables of the chat template that a request has, those of thinking among them."""
    given = json.loads(ask.request.chat_template_kwargs) if ask.request.chat_template_kwargs else {}
    thinking = ask.sampling.thinking
    switch = {} if thinking == "default" else dict.fromkeys(("enable_thinking", "thinking"), thinking == "on")
    return {**given, **switch}


def read_usage(usage: Mapping[str, Any], answer: StreamedAnswer) -> None:
    """Token counts; those that are not told stay unknown."""
    answer.prompt_tokens = _count(usage.get("prompt_tokens"), answer.prompt_tokens)
    answer.output_tokens = _count(usage.get("completion_tokens"), answer.output_tokens)
    prompt, output = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    if isinstance(prompt, dict):
        answer.cached_tokens = _count(prompt.get("cached_tokens"), answer.cached_tokens)
    if isinstance(output, dict):
        answer.thinking_tokens = _count(output.get("reasoning_tokens"), answer.thinking_tokens)


def read_logprobs(given: Any) -> Iterator[TokenLogprob]:
    """Tokens with their logprobs, in the form of chat completions or of completions."""
    if not isinstance(given, dict):
        return
    if isinstance(given.get("content"), list):
        for token in given["content"]:
            if isinstance(token, dict) and (own := _read_top(token)):
                yield TokenLogprob(own.text, own.logprob, tuple(_read_tops(token.get("top_logprobs"))))
        return
    texts, values, tops = given.get("tokens"), given.get("token_logprobs"), given.get("top_logprobs")
    if isinstance(texts, list) and isinstance(values, list):
        rest = tops if isinstance(tops, list) else [None] * len(texts)
        for text, value, others in zip(texts, values, rest, strict=False):
            if isinstance(text, str) and isinstance(value, (int, float)):
                yield TokenLogprob(text, float(value), tuple(_rank(others if isinstance(others, dict) else {})))


def _read_tops(given: Any) -> Iterator[TopLogprob]:
    for token in given if isinstance(given, list) else ():
        if isinstance(token, dict) and (top := _read_top(token)):
            yield top


def _rank(by_text: Mapping[Any, Any]) -> list[TopLogprob]:
    """The alternatives of a completion's token, best first."""
    tops = [TopLogprob(str(text), float(value)) for text, value in by_text.items() if isinstance(value, (int, float))]
    return sorted(tops, key=lambda top: -top.logprob)


def _read_top(token: Mapping[str, Any]) -> TopLogprob | None:
    value, spelled = token.get("logprob"), token.get("bytes")
    if not isinstance(value, (int, float)):
        return None
    text = _text(token.get("token"))
    if isinstance(spelled, list) and all(isinstance(byte, int) and 0 <= byte < 256 for byte in spelled) and spelled:
        text = bytes(spelled).decode("utf-8", "replace")
    return TopLogprob(text, float(value))


def read_count(entry: Mapping[str, Any], *names: str) -> int:
    """The first of these that is a number; 0 where none is."""
    return next((entry[name] for name in names if type(entry.get(name)) is int and entry[name] > 0), 0)


def take_calls(deltas: object, answer: StreamedAnswer) -> None:
    """Take a piece of a tool call that the server made of the answer, or of a part; say so where none was asked for."""
    if answer.calls is not None:
        answer.calls.add(deltas)
        return
    note = "The server read a tool call in the answer, which is left out."
    if note not in answer.notes:
        answer.notes.append(note)


def _count(value: Any, known: int | None) -> int | None:
    return value if type(value) is int and value >= 0 else known


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
