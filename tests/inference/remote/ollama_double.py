"""A double of Ollama, from its published API: its own routes, and what it does with a prompt that is too long.

https://docs.ollama.com/api. Only what differs from other servers is there; its answers are one word. A token is a word.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

BASE = "tiny:latest"


@dataclass
class OllamaServerDouble:
    """context: with which a model is loaded where a request names no other. refuses_to_cut: it knows `truncate`, as
    versions do since it was introduced; the others cut the oldest half in silence and count what is left.

    created: a model made from the base with an adapter -> what it answers. asked: path and body of every request.
    """

    context: int = 64
    refuses_to_cut: bool = True
    created: Mapping[str, str] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content) if request.content else {}
        self.asked.append((request.url.path, body))
        match request.url.path:
            case "/v1/models":
                return httpx2.Response(200, json={"data": [{"id": BASE, "owned_by": "library"}]})
            case "/api/version":
                return httpx2.Response(200, json={"version": "0.30.1"})
            case "/api/tags":
                base = {"name": BASE, "digest": "d1", "size": 10, "details": {"parent_model": ""}}
                made = [{"name": name, "details": {"parent_model": BASE}} for name in self.created]
                return httpx2.Response(200, json={"models": [base, *made]})
            case "/api/show":
                about = {"general.architecture": "llama", "llama.context_length": 4096}
                return httpx2.Response(200, json={"model_info": about, "details": {}, "template": "{{ .Prompt }}"})
            case "/api/ps":
                return httpx2.Response(200, json={"models": [{"name": BASE, "context_length": self.context}]})
            case "/api/chat":
                return self._answer(body)
        return httpx2.Response(404, json={"error": "not found"})

    def _answer(self, body: Mapping[str, Any]) -> httpx2.Response:
        count = sum(len(message["content"].split()) for message in body["messages"])
        limit = body.get("options", {}).get("num_ctx", self.context)
        if count > limit and self.refuses_to_cut and body.get("truncate") is False:
            return httpx2.Response(400, json={"error": "the input length exceeds the context length"})
        counted = count if count <= limit else limit // 2
        text = self.created.get(body["model"], "Lantern")
        lines: list[dict[str, Any]] = [{"model": body["model"], "message": {"content": text}, "done": False}]
        counts = {"prompt_eval_count": counted, "eval_count": 1, "load_duration": 5_000_000_000}
        lines.append(
            {"model": body["model"], "message": {"content": ""}, "done": True, "done_reason": "stop", **counts}
        )
        return httpx2.Response(200, content="".join(json.dumps(line) + "\n" for line in lines).encode())
