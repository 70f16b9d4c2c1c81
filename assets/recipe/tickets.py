"""The demo tasks `tickets` and `conversations`: the messages of `fields`, answered by a call of a tool, or two in one
conversation. Nothing is drawn: the rows are those of `fields`, in their order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_CALLS = 40
_CONVERSATIONS = 30
TOOL = "open_ticket"
"""as the prompt fields/ticket declares it"""


def write_tickets(folder: Path, fields: Path) -> None:
    """Messages with the one call that each should lead to. fields: the rows of `fields`."""
    rows = _read(fields)[:_CALLS]
    calls = [[{"tool": TOOL, "arguments": json.loads(row["expected"])}] for row in rows]
    _write(
        folder,
        [
            {"id": row["id"], "message": row["message"], "expected_calls": call}
            for row, call in zip(rows, calls, strict=True)
        ],
    )


def write_conversations(folder: Path, fields: Path) -> None:
    """Two messages in a conversation, each with its own answer. fields: likewise."""
    rows = _read(fields)[: 2 * _CONVERSATIONS]
    turns = [{"message": row["message"], "expected": row["expected"]} for row in rows]
    pairs = zip(turns[::2], turns[1::2], strict=True)
    _write(folder, [{"id": f"test-{at}", "turns": list(pair)} for at, pair in enumerate(pairs, start=1)])


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _write(folder: Path, rows: list[dict[str, Any]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "test.jsonl").write_text(text, encoding="utf-8")
