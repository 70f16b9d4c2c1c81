"""Ollama's own API, which takes a context size and refuses to cut a prompt; its OpenAI-compatible one does neither.

https://docs.ollama.com/api
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from workbench.inference.remote.dialects.openai import (
    OpenAiDialect,
    join_messages,
    read_count,
    read_logprobs,
    take_calls,
)
from workbench.inference.remote.dialects.protocol import AnswerPiece, DialectRequest, HttpCall, StreamedAnswer
from workbench.inference.remote.dialects.registry import choose_model, register_dialect
from workbench.inference.remote.http import ServerConnection
from workbench.inference.remote.server_model import ServerAdapter, ServerModel
from workbench.inference.remote.tool_calls import write_messages, write_tools

_NANOSECONDS = 1e9
_SAME_NAME = (
    "temperature", "top_k", "top_p", "min_p", "typical_p", "repeat_last_n", "frequency_penalty", "presence_penalty",
)  # fmt: skip


@register_dialect
class OllamaDialect(OpenAiDialect):
    """See the module."""

    name = "ollama"
    title = "Ollama"
    fields: ClassVar[Mapping[str, str]] = {
        **{name: name for name in _SAME_NAME},
        "repetition_penalty": "repeat_penalty",
    }
    special = frozenset({"max_tokens", "stop", "seed", "json_schema", "thinking", "reasoning_effort"})
    without_effect = frozenset()
    continues = True
    most_stops = 1000

    async def describe(self, connection: ServerConnection, wanted: str) -> ServerModel:
        listed = await connection.get("/api/tags")
        if listed.status != 200:
            raise connection.explain(listed)
        found = listed.body.get("models") if isinstance(listed.body, dict) else None
        models = (
            [one for one in found if isinstance(one, dict) and isinstance(one.get("name"), str)]
            if isinstance(found, list)
            else []
        )
        name = choose_model(connection, wanted, [model["name"] for model in models])
        entry = next((model for model in models if model["name"] in (name, f"{name}:latest")), {})
        shown = await connection.post("/api/show", {"model": name})
        if shown.status != 200 or not isinstance(shown.body, dict):
            raise connection.explain(shown)
        about = shown.body.get("model_info")
        about = about if isinstance(about, dict) else {}
        details = shown.body.get("details")
        details = details if isinstance(details, dict) else {}
        version = await connection.get("/api/version")
        number = version.body.get("version", "") if isinstance(version.body, dict) else ""
        abilities = shown.body.get("capabilities")
        architecture = str(about.get("general.architecture") or details.get("family") or "")
        return ServerModel(
            name=name,
            dialect=self.name,
            server=f"Ollama {number}".strip(),
            context_tokens=await self._loaded_context(connection, entry.get("name", name)),
            trained_tokens=read_count(about, f"{architecture}.context_length"),
            vocabulary=read_count(about, f"{architecture}.vocab_size"),
            parameters=read_count(about, "general.parameter_count"),
            file_bytes=read_count(entry, "size"),
            architecture=architecture,
            quantization=str(details.get("quantization_level") or ""),
            digest=str(entry.get("digest") or ""),
            template=str(shown.body.get("template") or ""),
            sees="vision" in abilities if isinstance(abilities, list) else None,
            adapters=tuple(
                ServerAdapter(model["name"])
                for model in models
                if isinstance(model.get("details"), dict)
                and model["details"].get("parent_model") in (name, f"{name}:latest")
            ),
        )

    async def _loaded_context(self, connection: ServerConnection, name: str) -> int:
        """The context that a model is loaded with; 0 where it is not loaded, or that is not told."""
        reply = await connection.get("/api/ps")
        running = reply.body.get("models") if reply.status == 200 and isinstance(reply.body, dict) else None
        entries = running if isinstance(running, list) else []
        found = next((one for one in entries if isinstance(one, dict) and one.get("name") == name), {})
        return read_count(found, "context_length")

    def check_bias(self, ask: DialectRequest) -> Iterator[str]:
        return iter(())

    def check_adapters(self, ask: DialectRequest) -> Iterator[str]:
        applied, known = ask.request.adapters, [adapter.name for adapter in ask.model.adapters]
        if len(applied) > 1:
            yield f"{len(applied)} adapters are applied, and Ollama takes one a model"
        for one in applied:
            if one.scale != 1:
                yield f"the scale of {one.adapter.name} is {one.scale:g}, and Ollama knows only 1"
            if one.adapter.name not in known:
                has = f"it has {', '.join(known)}" if known else "it has none made from this base"
                yield f"the adapter {one.adapter.name!r} is not a model of the server: {has}"

    def call(self, ask: DialectRequest) -> HttpCall:
        sampling, left_out = ask.sampling, ask.left_out
        options = {wire: getattr(sampling, field) for field, wire in self.fields.items() if field not in left_out}
        if "max_tokens" not in left_out:
            options["num_predict"] = sampling.max_tokens
        if sampling.seed is not None and "seed" not in left_out:
            options["seed"] = sampling.seed
        options["stop"] = list(sampling.stop)
        if ask.model.context_tokens:
            options["num_ctx"] = ask.model.context_tokens
        adapters = ask.request.adapters
        body: dict[str, Any] = {
            "model": adapters[0].adapter.name if adapters else ask.model.name,
            "stream": True,
            "truncate": False,
            "shift": False,
            "options": options,
        }
        if sampling.json_schema is not None:
            body["format"] = sampling.json_schema
        if ask.request.top_logprobs:
            body |= {"logprobs": True, "top_logprobs": ask.request.top_logprobs}
        if sampling.reasoning_effort or sampling.thinking != "default":
            body["think"] = sampling.reasoning_effort or sampling.thinking == "on"
        if ask.request.mode == "completion":
            return HttpCall("/api/generate", {**body, "prompt": join_messages(ask), "raw": True}, "lines")
        turns = write_messages(ask.request.messages, texts=False)
        return HttpCall("/api/chat", {**body, "messages": turns, **write_tools(ask.request.tools)}, "lines")

    def read(self, event: dict[str, Any], answer: StreamedAnswer) -> Iterator[AnswerPiece]:
        answer.model = str(event.get("model") or answer.model)
        message = event.get("message")
        message = (
            message
            if isinstance(message, dict)
            else {"content": event.get("response"), "thinking": event.get("thinking")}
        )
        if isinstance(message.get("thinking"), str) and message["thinking"]:
            yield AnswerPiece(message["thinking"], True)
        text = message.get("content")
        tokens = tuple(read_logprobs({"content": event["logprobs"]})) if isinstance(event.get("logprobs"), list) else ()
        if text or tokens:
            yield AnswerPiece(text if isinstance(text, str) else "", False, tokens)
        if message.get("tool_calls"):
            take_calls(message["tool_calls"], answer)
        if event.get("done") is True:
            ended = str(event.get("done_reason") or "stop")
            answer.stop_reason = "length" if ended == "length" else "stop" if answer.stops else "eos"
            for name, key in (("prompt_tokens", "prompt_eval_count"), ("output_tokens", "eval_count")):
                if type(event.get(key)) is int:
                    setattr(answer, name, event[key])
            for name, key in (
                ("load_seconds", "load_duration"),
                ("prompt_seconds", "prompt_eval_duration"),
                ("decode_seconds", "eval_duration"),
            ):
                if isinstance(event.get(key), (int, float)):
                    setattr(answer, name, event[key] / _NANOSECONDS)
