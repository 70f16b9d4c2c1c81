"""Rows: the cases of a dataset in the prompt of a task, each with the answer that is to be learned.

They are rendered by the same code that asks a model, so that what is trained is what is asked. Knows nothing of tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from workbench.errors import PromptError, TrainingError
from workbench.evaluation.datasets import Case
from workbench.prompting.prompt import Message, Mode
from workbench.prompting.render import render
from workbench.training.task import Task


class Row(NamedTuple):
    """A conversation, and the answer that belongs to it. case: its number in the dataset."""

    case: int
    messages: tuple[Message, ...]
    answer: str
    mode: Mode


class Rendered(NamedTuple):
    """The rows that can be learned. unlabelled: cases left out because no answer is known, by number."""

    rows: tuple[Row, ...]
    unlabelled: tuple[int, ...]


def render_rows(task: Task, cases: Iterable[Case]) -> Rendered:
    """The cases in the task's prompt. Raises TrainingError when none has an answer or the prompt does not fit them."""
    rows, unlabelled = [], []
    for case in cases:
        if case.expected is None:
            unlabelled.append(case.number)
        else:
            rows.append(_render(task, case))
    if not rows:
        seen = f"none of the {len(unlabelled)} rows has" if unlabelled else "there is no row with"
        raise TrainingError(
            f"Nothing can be learned: {seen} an expected answer.",
            "Name the column with the right answer as `expected` of the dataset in the recipe.",
        )
    return Rendered(tuple(rows), tuple(unlabelled))


def render_training(task: Task) -> Rendered:
    """The rows to learn from. Raises TrainingError."""
    if task.train is None or task.prompt is None:
        raise TrainingError("There are no rows to learn from.", "Name a dataset as `train` in the recipe.")
    return render_rows(task, task.train)


def render_validation(task: Task) -> tuple[Row, ...]:
    """The rows to examine on; none where the recipe has none."""
    if task.validation is None or task.prompt is None:
        return ()
    return render_rows(task, task.validation).rows


def find_overlap(train: Iterable[Row], validation: Iterable[Row]) -> int:
    """How many rows of the validation split stand in the train split as well, word for word."""
    known = {row.messages for row in train}
    return sum(1 for row in validation if row.messages in known)


def _render(task: Task, case: Case) -> Row:
    assert task.prompt is not None and case.expected is not None
    try:
        messages = render(task.prompt, case.values, task.examples)
    except PromptError as error:
        raise TrainingError(
            f"Case {case.number} does not fit the prompt {task.prompt.name}: {error.message}", error.hint
        ) from error
    return Row(case.number, messages, case.expected, task.prompt.mode)


def iterate_questions(rows: Iterable[Row]) -> Iterator[tuple[Message, ...]]:
    return (row.messages for row in rows)
