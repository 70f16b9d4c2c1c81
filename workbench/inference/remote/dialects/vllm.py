"""vLLM: OpenAI's requests with more fields; an adapter is a model of its own. SGLang's differ in a few names.

https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from workbench.inference.remote.dialects.openai import OpenAiDialect, join_messages, read_count, template_kwargs
from workbench.inference.remote.dialects.protocol import DialectRequest
from workbench.inference.remote.dialects.registry import list_models, register_dialect
from workbench.inference.remote.errors import ServerError
from workbench.inference.remote.http import ServerConnection
from workbench.inference.remote.server_model import ServerAdapter, ServerModel
from workbench.inference.remote.tool_calls import write_messages, write_tools
from workbench.inference.types import Tokenized

_SAME_NAME = (
    "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "frequency_penalty", "presence_penalty",
    "min_tokens", "ignore_eos",
)  # fmt: skip


@register_dialect
class VllmDialect(OpenAiDialect):
    """See the module."""

    name = "vllm"
    title = "vLLM"
    fields: ClassVar[Mapping[str, str]] = {name: name for name in _SAME_NAME}
    special = OpenAiDialect.special | {"grammar", "regex", "thinking", "thinking_budget", "bad_words"}
    counts = True
    continues = True
    most_stops = 1000
    takes_template_kwargs = True
    takes_template = True

    async def describe_model(self, connection: ServerConnection, name: str, entry: Mapping[str, Any]) -> ServerModel:
        listed = list_models(await connection.get("/v1/models"))
        base = str(entry.get("parent") or name)
        version = await connection.get("/version")
        number = version.body.get("version", "") if isinstance(version.body, dict) else ""
        own = next((model for model in listed if model["id"] == base), entry)
        return ServerModel(
            name=base,
            dialect=self.name,
            server=f"{self.title} {number}".strip(),
            context_tokens=read_count(own, "max_model_len", "context_length"),
            file=str(own.get("root") or ""),
            adapters=tuple(
                ServerAdapter(model["id"], path=str(model.get("root") or ""))
                for model in listed
                if model.get("parent") == base
            ),
        )

    def check_adapters(self, ask: DialectRequest) -> Iterator[str]:
        applied = ask.request.adapters
        known = [adapter.name for adapter in ask.model.adapters]
        if len(applied) > 1:
            yield f"{len(applied)} adapters are applied, and {self.title} takes one a request"
        for one in applied:
            if one.scale != 1:
                yield f"the scale of {one.adapter.name} is {one.scale:g}, and {self.title} knows only 1"
            if one.adapter.name not in known:
                has = f"it has {', '.join(known)}" if known else "it lists none"
                yield f"the adapter {one.adapter.name!r} is not on the server: {has}"

    def list_adapters(self, ask: DialectRequest) -> dict[str, Any]:
        return {"model": ask.request.adapters[0].adapter.name} if ask.request.adapters else {}

    def list_constraint(self, ask: DialectRequest) -> dict[str, Any]:
        given = {
            "json": ask.sampling.json_schema,
            "regex": ask.sampling.regex or None,
            "grammar": ask.sampling.grammar or None,
        }
        found = {name: value for name, value in given.items() if value is not None}
        return {"structured_outputs": found} if found else {}

    def list_more(self, ask: DialectRequest) -> dict[str, Any]:
        more: dict[str, Any] = {}
        if ask.sampling.bad_words:
            more["bad_words"] = list(ask.sampling.bad_words)
        if ask.request.mode == "chat":
            more |= _list_template(ask)
            if ask.sampling.thinking_budget >= 0:
                more["thinking_token_budget"] = ask.sampling.thinking_budget
            if ask.continues:
                more |= {"continue_final_message": True, "add_generation_prompt": False}
        return more

    async def tokenize(self, connection: ServerConnection, ask: DialectRequest) -> Tokenized:
        if ask.request.mode == "completion":
            asked: dict[str, Any] = {"prompt": join_messages(ask)}
        else:
            asked = {
                "messages": write_messages(ask.request.messages),
                **write_tools(ask.request.tools),
                "add_generation_prompt": not ask.continues,
            }
            if ask.continues:
                asked["continue_final_message"] = True
            asked |= _list_template(ask)
        reply = await connection.post("/tokenize", {"model": ask.model.name, "return_token_strs": True, **asked})
        ids = reply.body.get("tokens") if isinstance(reply.body, dict) else None
        if reply.status != 200:
            raise connection.explain(reply)
        if not isinstance(ids, list) or not all(type(token) is int for token in ids):
            raise ServerError("broken", f"{connection.address} does not tell its tokens: /tokenize gave no ids.")
        return await self._read_pieces(connection, ids, reply.body.get("token_strs"))

    async def _read_pieces(self, connection: ServerConnection, ids: list[int], strings: object) -> Tokenized:
        """The tokens, whose text is asked for separately."""
        reply = await connection.post("/detokenize", {"tokens": ids})
        text = reply.body.get("prompt") if isinstance(reply.body, dict) else None
        known = strings if isinstance(strings, list) and len(strings) == len(ids) else [f"#{token}" for token in ids]
        pieces = tuple(map(str, known))
        return Tokenized(text if isinstance(text, str) else "".join(pieces), tuple(ids), pieces)


@register_dialect
class SglangDialect(VllmDialect):
    """SGLang: one form of constraint a field, an adapter behind a colon in the model's name."""

    name = "sglang"
    title = "SGLang"
    takes_template = False
    special = OpenAiDialect.special | {"grammar", "regex", "thinking"}

    def list_adapters(self, ask: DialectRequest) -> dict[str, Any]:
        if not ask.request.adapters:
            return {}
        return {"model": f"{ask.model.name}:{ask.request.adapters[0].adapter.name}"}

    def list_constraint(self, ask: DialectRequest) -> dict[str, Any]:
        sampling = ask.sampling
        if sampling.json_schema is not None:
            schema = {"name": "answer", "schema": sampling.json_schema, "strict": True}
            return {"response_format": {"type": "json_schema", "json_schema": schema}}
        given = {"regex": sampling.regex, "ebnf": sampling.grammar}
        return {name: value for name, value in given.items() if value}


def _list_template(ask: DialectRequest) -> dict[str, Any]:
    """The chat template of a request and its variables, where it has any."""
    kwargs = template_kwargs(ask)
    named = {"chat_template": ask.chat_template} if ask.chat_template else {}
    return named | ({"chat_template_kwargs": kwargs} if kwargs else {})
