"""What the answers of a chain's steps are to the steps behind them: values of templates, and votes."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from workbench.datasets import Case
from workbench.inference.types import Completion
from workbench.prompting.prompt import PromptStep
from workbench.prompting.values import write_json
from workbench.scoring.text.json_text import read_json
from workbench.scoring.text.numbers import find_numbers, read_number

_SHOWN = 80  # characters of an answer in a message


class StepResult(NamedTuple):
    """What a step came to: its text, what templates see of it, and its last call's completion."""

    text: str
    seen: dict[str, Any]
    completion: Completion


def with_values(case: Case, values: dict[str, Any]) -> Case:
    """The case with further variables, of whatever type."""
    texts = {name: write_json(value) for name, value in values.items()}
    typed = tuple(name for name in case.typed if name not in texts)
    return msgspec.structs.replace(case, variables={**case.variables, **texts}, typed=typed)


def describe_answer(text: str) -> dict[str, Any]:
    """What templates see of an answer: `text`, and `json` where the text is JSON, alone or in a Markdown fence."""
    found = read_json(text)
    return {"text": text} if found.problem else {"text": text, "json": found.value}


def find_vote_key(result: StepResult, step: PromptStep) -> object:
    """By what an answer is compared with the others; None where it has no such thing."""
    if step.vote == "json":
        return msgspec.json.encode(result.seen["json"], order="deterministic") if "json" in result.seen else None
    if step.vote == "number":
        numbers = find_numbers(result.text)
        return read_number(numbers[-1]) if numbers else None
    return " ".join(result.text.split()).casefold() or None


def shorten(text: str) -> str:
    """An answer as a message shows it: in a line, a long one by its beginning."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"
