"""The form of the answers that a dataset expects, found from the answers and the scorers, as sentences of a prompt."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from workbench.datasets import Case
from workbench.runs.task_kind import DetectedTask
from workbench.units import format_plural

ScorerEntries = Sequence[str | dict[str, dict[str, Any]]]
"""Scorers as a bench lists them."""

_MOST_WORDS = 12
_SHAPES: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("Write it in lower case.", lambda text: text.islower()),
    ("Write it in capital letters.", lambda text: text.isupper() and len(text) > 1),
    ("Write dates as YYYY-MM-DD.", lambda text: re.fullmatch(r"\d{4}-\d\d-\d\d", text) is not None),
    ("Write digits only, without a unit.", lambda text: re.fullmatch(r"-?\d+", text) is not None),
    ("End it with a full stop.", lambda text: text.endswith(".")),
)


class AnswerForm(NamedTuple):
    """sentences: what an answer has to look like. marker: what stands before the part that is scored; "" for none.

    reads_part: whether the scorer takes a part of a longer answer, so that reasoning before it does no harm.
    """

    sentences: tuple[str, ...]
    marker: str = ""
    reads_part: bool = False

    @property
    def text(self) -> str:
        return " ".join(self.sentences)


def find_form(task: DetectedTask, cases: Sequence[Case], scorers: ScorerEntries) -> AnswerForm:
    """cases: of the train split. scorers: as the bench lists them; the first one decides."""
    answers = [case.expected.strip() for case in cases if case.expected and case.expected.strip()]
    options = _find_options(scorers)
    extract = options.get("extract")
    marker = next(_walk_markers(extract), "")
    sentences = [_name_form(task), *_find_shapes(task, answers)]
    if marker:
        sentences.append(f"End with a line that begins with {marker} and holds the answer alone.")
    elif extract is not None and "final_line" in _list_steps(extract):
        sentences.append("The last line holds the answer alone.")
    return AnswerForm(tuple(sentences), marker, extract is not None or bool(options.get("within")))


def _name_form(task: DetectedTask) -> str:
    if task.kind == "classify":
        return "Answer with the label only."
    if task.kind == "extract":
        return f"Answer with one JSON value{_name_keys(task)} and nothing else."
    if task.kind == "answer":
        return f"Answer with the {'number' if task.numeric else 'answer'} only, without an explanation."
    return "Answer with the text that is asked for and nothing else."


def _name_keys(task: DetectedTask) -> str:
    return f" with the keys {', '.join(task.keys)}" if task.keys else ""


def _find_shapes(task: DetectedTask, answers: Sequence[str]) -> list[str]:
    """What all expected answers have in common; nothing of labels, which are written as they are listed."""
    if task.kind not in ("answer", "text") or len(answers) < 3:
        return []
    longest = max(len(answer.split()) for answer in answers)
    limits = [f"Use at most {format_plural(longest, 'word')}."] if longest <= _MOST_WORDS else []
    return [*limits, *(sentence for sentence, fits in _SHAPES if all(map(fits, answers)))]


def _find_options(scorers: ScorerEntries) -> dict[str, Any]:
    first = next(iter(scorers), "")
    return next(iter(first.values()), {}) or {} if isinstance(first, dict) else {}


def _list_steps(extract: Any) -> tuple[Any, ...]:
    return tuple(extract) if isinstance(extract, (list, tuple)) else (extract,)


def find_markers(scorers: ScorerEntries) -> tuple[str, ...]:
    """The texts of `extract: {after: ...}`, which stand before the part of an answer that is scored."""
    return tuple(dict.fromkeys(marker for entry in scorers for marker in _walk_markers(entry)))


def _walk_markers(entry: Any) -> Iterator[str]:
    """At any depth of a scorer's options."""
    if isinstance(entry, dict):
        for key, value in entry.items():
            if key == "after" and isinstance(value, str) and value.strip():
                yield value.strip()
            yield from _walk_markers(value)
    elif isinstance(entry, (list, tuple)):
        for item in entry:
            yield from _walk_markers(item)
