"""What kind of task the rows of a dataset are: guessed from their columns and expected answers."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal, get_args

from workbench.datasets.case import Case

TaskKind = Literal["classify", "extract", "answer", "text"]
TASK_KINDS: tuple[TaskKind, ...] = get_args(TaskKind)

DESCRIPTIONS: dict[TaskKind, str] = {
    "classify": "classify into labels",
    "extract": "extract JSON",
    "answer": "short answers",
    "text": "free text",
}

_EXPECTED = (
    "expected", "label", "labels", "answer", "answers", "output", "target", "class", "category", "sentiment", "intent",
    "gold", "reference", "completion", "response", "summary", "translation", "y",
)  # fmt: skip
_IDS = {"", "id", "_id", "idx", "index", "row", "row_id", "uuid", "unnamed: 0", "#", "split", "subset", "fold"}
_MOST_LABELS = 50
_LABEL_CHARS = 60
_ANSWER_CHARS = 80


@dataclass(frozen=True, slots=True)
class DetectedTask:
    """labels: of a classification, in the order in which they appear. keys: of the JSON objects that are expected."""

    kind: TaskKind
    labels: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    numeric: bool = False


def detect_task(cases: Sequence[Case], kind: TaskKind | None = None) -> DetectedTask:
    """The task that these cases are. kind: what a person says it is; labels and keys are then looked for all the
    same."""
    answers = [case.expected for case in cases if case.expected and case.expected.strip()]
    chosen = kind or _detect_kind(answers)
    labels = tuple(dict.fromkeys(answer.strip() for answer in answers)) if chosen == "classify" else ()
    keys = _list_keys(answers) if chosen == "extract" else ()
    return DetectedTask(chosen, labels, keys, bool(answers) and all(map(_is_number, answers)))


def find_expected_column(columns: Collection[str]) -> str:
    """The column that most likely holds the expected answers; "" where none has a usual name."""
    by_name = {column.strip().casefold(): column for column in reversed(list(columns))}
    return next((by_name[name] for name in _EXPECTED if name in by_name), "") if len(columns) > 1 else ""


def choose_inputs(cases: Sequence[Case]) -> tuple[str, ...]:
    """The variables that a prompt should show: those of every case, without row numbers and the like."""
    shared = [name for name in cases[0].variables if all(name in case.variables for case in cases)]
    telling = [name for name in shared if name.strip().casefold() not in _IDS]
    return tuple(telling or shared)


def _detect_kind(answers: Sequence[str]) -> TaskKind:
    if not answers:
        return "text"
    if all(isinstance(_read_json(answer), (dict, list)) for answer in answers):
        return "extract"
    labels = {answer.strip() for answer in answers}
    short = max(map(len, labels)) <= _LABEL_CHARS and not any("\n" in label for label in labels)
    repeated = len(labels) <= _MOST_LABELS and 3 * len(labels) <= 2 * len(answers)
    few = len(labels) <= 10 or not all(map(_is_number, labels))  # more different numbers are results, not classes
    if short and repeated and few:
        return "classify"
    return "answer" if median(map(len, answers)) <= _ANSWER_CHARS else "text"


def _list_keys(answers: Sequence[str]) -> tuple[str, ...]:
    objects = [found for found in map(_read_json, answers) if isinstance(found, dict)]
    return tuple(dict.fromkeys(str(key) for found in objects for key in found))


def _read_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", ""))
    except ValueError:
        return False
    return True
