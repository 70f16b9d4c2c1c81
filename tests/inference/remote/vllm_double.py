"""A double of vLLM, from its published API: adapters as models of their own, defaults of generation_config.json.

https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html. Only what differs from other servers is there; its
answers are one word, and a token is a word.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

BASE = "tiny"
DEFAULTED = frozenset({"temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_tokens"})
"""What generation_config.json may set where a request does not."""


@dataclass
class VllmServerDouble:
    """adapters: name -> what it answers; one whose modules match nothing answers as the base does.

    asked: path and body of every request.
    """

    adapters: Mapping[str, str] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def generations(self) -> list[dict[str, Any]]:
        return [body for path, body in self.asked if path.endswith("/completions")]

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content) if request.content else {}
        self.asked.append((request.url.path, body))
        match request.url.path:
            case "/v1/models":
                base = {"id": BASE, "owned_by": "vllm", "root": BASE, "parent": None, "max_model_len": 512}
                listed = [
                    {"id": name, "owned_by": "vllm", "root": f"/a/{name}", "parent": BASE} for name in self.adapters
                ]
                return httpx2.Response(200, json={"data": [base, *listed]})
            case "/version":
                return httpx2.Response(200, json={"version": "0.22.0"})
            case "/tokenize":
                words = self._words(body)
                return httpx2.Response(200, json={"count": len(words), "tokens": [len(word) for word in words]})
            case "/detokenize":
                return httpx2.Response(200, json={"prompt": " ".join("x" * token for token in body["tokens"])})
            case "/v1/chat/completions":
                return self._answer(body)
        return httpx2.Response(404, json={"error": {"message": "Not Found"}})

    def _answer(self, body: Mapping[str, Any]) -> httpx2.Response:
        text = self.adapters.get(body["model"], "Lantern")
        shown = {"id": "c1", "model": body["model"]}
        finish = {"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": None}
        usage = {"prompt_tokens": len(self._words(body)), "completion_tokens": 1}
        events = [
            {**shown, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]},
            {**shown, "choices": [finish]},
            {**shown, "choices": [], "usage": usage},
        ]
        lines = [f"data: {json.dumps(event)}\n\n" for event in events]
        headers = {"Content-Type": "text/event-stream"}
        return httpx2.Response(200, content="".join([*lines, "data: [DONE]\n\n"]).encode(), headers=headers)

    @staticmethod
    def _words(body: Mapping[str, Any]) -> list[str]:
        return [word for message in body.get("messages", ()) for word in message["content"].split()]
