"""The assertion that a cell of a promptfoo CSV describes, by the rules of its code (0.120: src/csv.ts)."""

from __future__ import annotations

import re
from typing import Any

_TYPES = frozenset(
    [
        "answer-relevance",
        "bleu",
        "classifier",
        "contains",
        "contains-all",
        "contains-any",
        "contains-html",
        "contains-json",
        "contains-sql",
        "contains-xml",
        "context-faithfulness",
        "context-recall",
        "context-relevance",
        "conversation-relevance",
        "cost",
        "equals",
        "factuality",
        "finish-reason",
        "g-eval",
        "gleu",
        "guardrails",
        "icontains",
        "icontains-all",
        "icontains-any",
        "is-html",
        "is-json",
        "is-refusal",
        "is-sql",
        "is-valid-function-call",
        "is-valid-openai-function-call",
        "is-valid-openai-tools-call",
        "is-xml",
        "javascript",
        "latency",
        "levenshtein",
        "llm-rubric",
        "pi",
        "meteor",
        "model-graded-closedqa",
        "model-graded-factuality",
        "moderation",
        "perplexity",
        "perplexity-score",
        "python",
        "regex",
        "rouge-n",
        "ruby",
        "similar",
        "similar:cosine",
        "similar:dot",
        "similar:euclidean",
        "starts-with",
        "trace-error-spans",
        "trace-span-count",
        "trace-span-duration",
        "search-rubric",
        "webhook",
    ]
)
_KINDS = "|".join(sorted(map(re.escape, _TYPES), key=len, reverse=True))
_PARSED = re.compile(rf"^(not-)?({_KINDS})(?:\((\d+(?:\.\d+)?)\))?(?::([\s\S]*))?$")
_WITH_THRESHOLD = frozenset(
    [
        "answer-relevance",
        "classifier",
        "context-faithfulness",
        "context-recall",
        "context-relevance",
        "cost",
        "latency",
        "levenshtein",
        "perplexity-score",
        "perplexity",
        "rouge-n",
        "similar",
        "starts-with",
    ]
)


def read_csv_assertion(text: str) -> dict[str, Any]:
    """The assertion that a cell of `__expected` describes."""
    for prefix, kind in (
        ("javascript:", "javascript"),
        ("fn:", "javascript"),
        ("eval:", "javascript"),
        ("grade:", "llm-rubric"),
        ("llm-rubric:", "llm-rubric"),
        ("python:", "python"),
    ):
        if text.startswith(prefix):
            value = text[len(prefix) :]
            return {"type": kind, "value": value if kind == "llm-rubric" else value.strip()}
    if text.startswith("file://") and re.search(r"\.(py|[cm]?[jt]s)(:|$)", text):
        return {"type": "python" if ".py" in text else "javascript", "value": text[7:].strip()}
    match = _PARSED.match(text)
    if match is None:
        return {"type": "equals", "value": text}
    kind, value = match[2], match[4]
    found: dict[str, Any] = {"type": (match[1] or "") + kind, "value": value}
    if kind in ("contains-all", "contains-any", "icontains-all", "icontains-any"):
        found["value"] = [one.strip() for one in value.split(",")] if value else value
    elif kind not in ("contains-json", "is-json"):
        found["value"] = value.strip() if value is not None else None
        if kind in _WITH_THRESHOLD:
            found["threshold"] = float(match[3]) if match[3] else 0.8 if kind == "similar" else 0.75
    return {key: one for key, one in found.items() if one is not None}
