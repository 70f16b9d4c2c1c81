"""llama.cpp's server: every sampler by name, adapters by number with a scale, the tokens of a prompt on request.

https://github.com/ggml-org/llama.cpp/tree/master/tools/server
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, ClassVar

from workbench.inference.remote.dialects.openai import OpenAiDialect, join_messages, read_count, template_kwargs
from workbench.inference.remote.dialects.protocol import AnswerPiece, DialectRequest, HttpCall, StreamedAnswer
from workbench.inference.remote.dialects.registry import register_dialect
from workbench.inference.remote.errors import ServerError
from workbench.inference.remote.http import Reply, ServerConnection
from workbench.inference.remote.server_model import ServerAdapter, ServerModel
from workbench.inference.remote.tool_calls import write_messages, write_tools
from workbench.inference.types import StopReason, Tokenized, TokenLogprob, TopLogprob

_SAME_NAME = (
    "temperature", "top_p", "top_k", "min_p", "typical_p", "frequency_penalty", "presence_penalty",
    "dynatemp_range", "dynatemp_exponent", "dry_multiplier", "dry_base", "dry_allowed_length", "xtc_probability",
    "xtc_threshold", "mirostat", "mirostat_tau", "mirostat_eta", "ignore_eos",
)  # fmt: skip
_STOPS: Mapping[str, StopReason] = {"eos": "eos", "word": "stop", "limit": "length"}


@register_dialect
class LlamaServerDialect(OpenAiDialect):
    """See the module."""

    name = "llama-server"
    title = "llama-server"
    fields: ClassVar[Mapping[str, str]] = {
        **{name: name for name in _SAME_NAME},
        "repetition_penalty": "repeat_penalty",
    }
    special = frozenset(
        {"max_tokens", "stop", "seed", "logit_bias", "json_schema", "grammar", "reasoning_effort", "thinking",
         "thinking_budget", "top_n_sigma", "repeat_last_n", "dry_penalty_last_n", "dry_sequence_breakers"}
    )  # fmt: skip
    without_effect = frozenset()
    scales = True
    counts = True
    caches_by_slot = True
    continues = True
    most_stops = 1000
    most_top_logprobs = 1000
    takes_template_kwargs = True

    async def describe_model(self, connection: ServerConnection, name: str, entry: Mapping[str, Any]) -> ServerModel:
        reply = await connection.get("/props")
        if reply.status != 200:
            raise connection.explain(reply)
        props = reply.body if isinstance(reply.body, dict) else {}
        settings = props.get("default_generation_settings")
        settings = settings if isinstance(settings, dict) else {}
        meta = entry["meta"] if isinstance(entry.get("meta"), dict) else {}
        adapters = await connection.get("/lora-adapters")
        return ServerModel(
            name=name,
            dialect=self.name,
            server=f"llama-server {props.get('build_info', '')}".strip(),
            context_tokens=read_count(settings, "n_ctx"),
            trained_tokens=read_count(meta, "n_ctx_train"),
            vocabulary=read_count(meta, "n_vocab"),
            parameters=read_count(meta, "n_params"),
            file_bytes=read_count(meta, "size"),
            quantization=str(props.get("model_ftype") or meta.get("ftype") or ""),
            file=str(props.get("model_path") or ""),
            template=str(props.get("chat_template") or ""),
            slots=read_count(props, "total_slots"),
            adapters=tuple(_read_adapters(adapters)),
            sees=_read_vision(props.get("modalities")),
        )

    def check(self, ask: DialectRequest) -> Iterator[str]:
        yield from super().check(ask)
        if ask.sampling.grammar and "%llguidance" not in ask.sampling.grammar and "start:" in ask.sampling.grammar:
            yield "grammar is one for Lark, and llama-server takes GBNF"
        if ask.sampling.thinking != "default" and ask.request.mode == "completion":
            yield "thinking is set, and in completion mode there is no chat template"

    def check_bias(self, ask: DialectRequest) -> Iterator[str]:
        return iter(())

    def check_adapters(self, ask: DialectRequest) -> Iterator[str]:
        known = {adapter.name for adapter in ask.model.adapters}
        for one in ask.request.adapters:
            if one.adapter.name not in known:
                has = f"it has {', '.join(sorted(known))}" if known else "it was started with none (--lora)"
                yield f"the adapter {one.adapter.name!r} is not on the server: {has}"

    def call(self, ask: DialectRequest) -> HttpCall:
        if ask.request.mode == "chat":
            return super().call(ask)
        body = {
            "prompt": join_messages(ask),
            "stream": True,
            **self.list_sampling(ask),
            **self.list_adapters(ask),
            **self.list_more(ask),
        }
        if ask.request.top_logprobs:
            body["n_probs"] = ask.request.top_logprobs
        return HttpCall("/completion", body)

    def list_sampling(self, ask: DialectRequest) -> dict[str, Any]:
        sampling, left_out = ask.sampling, ask.left_out
        more = {
            "n_predict": sampling.max_tokens,
            "seed": -1 if sampling.seed is None else sampling.seed,
            "top_n_sigma": sampling.top_n_sigma or -1.0,  # 0 is off here, and below 0 there
            "dry_sequence_breakers": list(sampling.dry_sequence_breakers) or ["\n"],
            "stop": list(sampling.stop),
            "logit_bias": [
                [int(token[3:]) if token.startswith("id:") else token, False if bias <= -100 else bias]
                for token, bias in sampling.logit_bias.items()
            ],
        }
        whole = ask.model.context_tokens or 2**31 - 1
        more["repeat_last_n"] = whole if sampling.repeat_last_n < 0 else sampling.repeat_last_n
        more["dry_penalty_last_n"] = whole if sampling.dry_penalty_last_n < 0 else sampling.dry_penalty_last_n
        names = {"n_predict": "max_tokens"}
        sent = {wire: getattr(sampling, field) for field, wire in self.fields.items() if field not in left_out}
        sent |= {wire: value for wire, value in more.items() if names.get(wire, wire) not in left_out}
        if not sampling.dry_multiplier:
            sent.pop("dry_sequence_breakers", None)
        return sent | self.list_constraint(ask)

    def list_constraint(self, ask: DialectRequest) -> dict[str, Any]:
        if ask.sampling.grammar:
            return {"grammar": ask.sampling.grammar}
        return {} if ask.sampling.json_schema is None else {"json_schema": ask.sampling.json_schema}

    def list_adapters(self, ask: DialectRequest) -> dict[str, Any]:
        """Every adapter by its number: an empty list would be the scales that the server was started with."""
        if not ask.model.adapters:
            return {}
        scales = {one.adapter.name: one.scale for one in ask.request.adapters}
        return {"lora": [{"id": one.id, "scale": scales.get(one.name, 0.0)} for one in ask.model.adapters]}

    def list_more(self, ask: DialectRequest) -> dict[str, Any]:
        more: dict[str, Any] = {"cache_prompt": shares_prefixes(ask.model), "timings_per_token": False}
        if ask.request.mode == "chat":
            if kwargs := template_kwargs(ask):
                more["chat_template_kwargs"] = kwargs
            if ask.sampling.reasoning_effort:
                more["reasoning_effort"] = ask.sampling.reasoning_effort
            if ask.sampling.thinking_budget >= 0:
                more["reasoning_budget_tokens"] = ask.sampling.thinking_budget
            if ask.continues:
                more |= {"continue_final_message": True, "add_generation_prompt": False}
        return more

    def read(self, event: dict[str, Any], answer: StreamedAnswer) -> Iterator[AnswerPiece]:
        if "choices" in event:
            yield from super().read(event, answer)
            return
        self.read_times(event, answer)
        text, tokens = event.get("content"), event.get("completion_probabilities")
        found = tuple(_read_token(one) for one in tokens if isinstance(one, dict)) if isinstance(tokens, list) else ()
        yield AnswerPiece(text if isinstance(text, str) else "", False, found)
        if event.get("stop") is True:
            answer.stop_reason = _STOPS.get(str(event.get("stop_type")), "eos")
            if event.get("truncated"):
                answer.stop_reason = "context"
            answer.model = str(event.get("model") or answer.model)
            answer.prompt_tokens = event.get("tokens_evaluated", answer.prompt_tokens)
            answer.output_tokens = event.get("tokens_predicted", answer.output_tokens)

    def read_times(self, event: dict[str, Any], answer: StreamedAnswer) -> None:
        times = event.get("timings")
        if not isinstance(times, dict):
            return
        for name, key in (("prompt_seconds", "prompt_ms"), ("decode_seconds", "predicted_ms")):
            if isinstance(times.get(key), (int, float)):
                setattr(answer, name, times[key] / 1000)
        if type(times.get("cache_n")) is int:
            answer.cached_tokens = times["cache_n"]

    async def tokenize(self, connection: ServerConnection, ask: DialectRequest) -> Tokenized:
        if ask.request.mode == "completion":
            return await self._tokenize_text(connection, join_messages(ask))
        body: dict[str, Any] = {"messages": write_messages(ask.request.messages), **write_tools(ask.request.tools)}
        if kwargs := template_kwargs(ask):
            body["chat_template_kwargs"] = kwargs
        if ask.continues:
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        rendered = await connection.post("/apply-template", body)
        prompt = rendered.body.get("prompt") if isinstance(rendered.body, dict) else None
        if rendered.status != 200 or not isinstance(prompt, str):
            raise connection.explain(rendered)
        return await self._tokenize_text(connection, prompt)

    async def _tokenize_text(self, connection: ServerConnection, text: str) -> Tokenized:
        """The tokens of a text, with the one that the server puts in front by itself."""
        asked = {"content": text, "add_special": True, "parse_special": True, "with_pieces": True}
        reply = await connection.post("/tokenize", asked)
        listed = reply.body.get("tokens") if isinstance(reply.body, dict) else None
        if reply.status != 200 or not isinstance(listed, list) or not all(map(_is_spelled, listed)):
            raise ServerError(
                "refused",
                f"{connection.address} lays a conversation out, but does not tell its tokens: /tokenize gave no ids"
                f" with pieces (status {reply.status}).",
                "Update the server: llama-server does since 2024.",
                str(reply.body)[:500],
            )
        spelled = [_bytes(token["piece"]) for token in listed]
        pieces = tuple(piece.decode("utf-8", "replace") for piece in spelled)
        ids = tuple(int(token["id"]) for token in listed)
        return Tokenized(b"".join(spelled).decode("utf-8", "replace"), ids, pieces)


def _read_vision(modalities: object) -> bool | None:
    vision = modalities.get("vision") if isinstance(modalities, dict) else None
    return vision if isinstance(vision, bool) else None


def shares_prefixes(model: ServerModel) -> bool:
    """Whether cached prefixes can be trusted: the server keeps them by their tokens alone, whichever adapter acted."""
    return not model.adapters


def _read_adapters(listed: Reply) -> Iterator[ServerAdapter]:
    """The adapters by the names of their files; one that another has too gets its number behind it."""
    taken: set[str] = set()
    for adapter in listed.body if listed.status == 200 and isinstance(listed.body, list) else ():
        if isinstance(adapter, dict) and type(adapter.get("id")) is int:
            path = str(adapter.get("path") or "")
            stem = (PureWindowsPath(path) if "\\" in path else PurePosixPath(path)).stem or f"adapter {adapter['id']}"
            name = f"{stem}:{adapter['id']}" if stem in taken else stem
            taken.add(name)
            yield ServerAdapter(name, adapter["id"], path)


def _read_token(token: Mapping[str, Any]) -> TokenLogprob:
    tops = token.get("top_logprobs")
    found = tuple(_read_top(top) for top in tops if isinstance(top, dict)) if isinstance(tops, list) else ()
    own = _read_top(token)
    return TokenLogprob(own.text, own.logprob, found)


def _read_top(token: Mapping[str, Any]) -> TopLogprob:
    spelled, value = token.get("bytes"), token.get("logprob")
    text = bytes(spelled).decode("utf-8", "replace") if isinstance(spelled, list) else str(token.get("token", ""))
    return TopLogprob(text, float(value) if isinstance(value, (int, float)) else float("-inf"))


def _is_spelled(token: object) -> bool:
    if not isinstance(token, dict) or type(token.get("id")) is not int:
        return False
    piece = token.get("piece")
    return isinstance(piece, str) or (
        isinstance(piece, list) and all(isinstance(byte, int) and 0 <= byte < 256 for byte in piece)
    )


def _bytes(piece: str | list[int]) -> bytes:
    """A token's piece: text, or bytes where it holds a part of a character."""
    return piece.encode("utf-8", "replace") if isinstance(piece, str) else bytes(piece)
