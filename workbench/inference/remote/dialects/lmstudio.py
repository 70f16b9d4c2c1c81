"""LM Studio's OpenAI-compatible API: a few more sampling fields, no logprobs.

https://lmstudio.ai/docs/developer/openai-compat
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from workbench.inference.remote.dialects.openai import OpenAiDialect, read_count
from workbench.inference.remote.dialects.protocol import DialectRequest
from workbench.inference.remote.dialects.registry import list_models, register_dialect
from workbench.inference.remote.http import ServerConnection
from workbench.inference.remote.server_model import ServerModel


@register_dialect
class LmStudioDialect(OpenAiDialect):
    """See the module."""

    name = "lmstudio"
    title = "LM Studio"
    fields: ClassVar[Mapping[str, str]] = {
        **OpenAiDialect.fields,
        "top_k": "top_k",
        "repetition_penalty": "repeat_penalty",
    }
    special = frozenset({"max_tokens", "stop", "seed", "logit_bias", "json_schema"})
    most_stops = 1000

    async def describe_model(self, connection: ServerConnection, name: str, entry: Mapping[str, Any]) -> ServerModel:
        listed = list_models(await connection.get("/api/v0/models"))
        own = next((model for model in listed if model["id"] == name), {})
        return ServerModel(
            name=name,
            dialect=self.name,
            server="LM Studio",
            context_tokens=read_count(own, "loaded_context_length"),
            trained_tokens=read_count(own, "max_context_length"),
            architecture=str(own.get("arch") or ""),
            quantization=str(own.get("quantization") or ""),
        )

    def check(self, ask: DialectRequest) -> Iterator[str]:
        yield from super().check(ask)
        if ask.request.top_logprobs:
            yield "top_logprobs is set, and LM Studio returns none"
