"""The `examples.jsonl` next to a prompt, one few-shot example a line.

The key `answer` is the answer and `id` the id; all others are variables. Lines that were not edited are written back as
they were.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.errors import PromptError
from workbench.prompting.prompt import Example
from workbench.prompting.values import write_json


def load_examples(text: str, path: Path) -> tuple[Example, ...]:
    """The examples in the text of an examples file.

    path: where the text is from, for messages. Raises PromptError with every wrong line.
    """
    examples: list[Example] = []
    problems: list[str] = []
    lines_by_id: dict[str, int] = {}
    for number, line in enumerate(_split(text), start=1):
        if not line.strip():
            continue
        try:
            example = _read_line(line)
        except ValueError as error:
            problems.append(f"{path}:{number}: {error}")
            continue
        if example.id in lines_by_id:
            problems.append(f"{path}:{number}: the id `{example.id}` is also that of line {lines_by_id[example.id]}")
        lines_by_id.setdefault(example.id, number)
        examples.append(example)
    if problems:
        raise PromptError(
            "\n".join(problems),
            'An example is one line such as {"id": "e1", "message": "…", "answer": "…"}; `id` and `answer`: strings.',
        )
    return tuple(examples)


def dump_examples(examples: Sequence[Example], source: str = "") -> str:
    """The text of an examples file. source: the text they were read from, whose unedited lines are kept."""
    known: dict[str, tuple[Example, str]] = {}
    for line in _split(source):
        if line.strip():
            example = _read_line(line)
            known[example.id] = (example, line)
    ending = "\r\n" if source.count("\r\n") * 2 > source.count("\n") else "\n"
    bom = "\ufeff" if source.startswith("\ufeff") else ""
    lines = [
        known[example.id][1] if known.get(example.id, (None,))[0] == example else _write_line(example)
        for example in examples
    ]
    return bom + "".join(line + ending for line in lines)


def _split(text: str) -> list[str]:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")


def _read_line(line: str) -> Example:
    """Raises ValueError that says what is wrong with the line."""
    try:
        row = json.loads(line, object_pairs_hook=_read_pairs)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON at column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(row, dict):
        raise ValueError("expected a JSON object")
    wrong = [f"`{key}` is not a string" for key in ("id", "answer") if not isinstance(row.get(key, ""), str)]
    wrong += [f"`{key}` is missing" for key in ("id", "answer") if key not in row]
    if not row.get("id", "id"):
        wrong.append("`id` is empty")
    if wrong:
        raise ValueError(", ".join(wrong))
    wrong = [f"`{key}` is null" for key, value in row.items() if value is None]
    if wrong:
        raise ValueError(", ".join(wrong))
    others = {key: value for key, value in row.items() if key not in ("id", "answer")}
    variables = {key: value if isinstance(value, str) else write_json(value) for key, value in others.items()}
    return Example(id=row["id"], variables=variables, answer=row["answer"])


def _read_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in row if keys.count(key) > 1)
        raise ValueError(f"the key `{twice}` is duplicated")
    return row


def _write_line(example: Example) -> str:
    row = {"id": example.id, **example.values, "answer": example.answer}
    return json.dumps(row, ensure_ascii=False)
