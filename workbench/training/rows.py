"""Rows: the cases of a dataset in the prompt of a task, each with the answer that is to be learned.

They are rendered by the same code that asks a model, so that what is trained is what is asked. Knows nothing of tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from workbench.errors import PromptError, TrainingError
from workbench.evaluation.datasets import Case
from workbench.evaluation.row_digests import Role, RowDigests, SeenRows, make_digests
from workbench.prompting.prompt import Message, Mode
from workbench.prompting.render import find_variables, render
from workbench.training.task import Task


class Row(NamedTuple):
    """A conversation, and the answer that belongs to it. case: its number in the dataset. inputs: what filled the
    prompt, by variable."""

    case: int
    messages: tuple[Message, ...]
    answer: str
    mode: Mode
    inputs: Mapping[str, object] = MappingProxyType({})


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
    if not any(row.answer.strip() for row in rows):
        raise TrainingError(
            f"Nothing can be learned: the expected answers of all {len(rows)} rows are empty.",
            "Name the column with the right answer as `expected` of the dataset in the recipe.",
        )
    return Rendered(tuple(rows), tuple(unlabelled))


def render_training(task: Task) -> Rendered:
    """The rows to learn from. Raises TrainingError."""
    if task.train is None or task.prompt is None:
        raise TrainingError("There are no rows to learn from.", "Name a dataset as `train` in the recipe.")
    return render_rows(task, task.train)


def render_validation(task: Task) -> Rendered:
    """The rows to examine on; none where the recipe has none."""
    if task.validation is None or task.prompt is None:
        return Rendered((), ())
    return render_rows(task, task.validation)


def find_empty(rows: Iterable[Row]) -> tuple[int, ...]:
    """The cases whose answer is empty, or white space alone: what is learned from them is to end at once."""
    return tuple(row.case for row in rows if not row.answer.strip())


def find_overlap(train: Iterable[Row], validation: Iterable[Row]) -> int:
    """How many rows of the validation split stand in the train split as well, word for word."""
    known = {row.messages for row in train}
    return sum(1 for row in validation if row.messages in known)


def tell_test_overlap(task: Task, rows: Sequence[Row]) -> str:
    """A sentence where rows to learn from are cases that the bench compares variants on; "" where none is."""
    if task.test is None or not rows:
        return ""
    seen = SeenRows([digest_rows("train", task, rows)]).find((case.number, case.variables) for case in task.test)
    if not seen:
        return ""
    first = seen[0]
    return (
        f"{len(seen):,} of the bench's {len(task.test):,} test cases stand in the rows to learn from, the first as case"
        f" {first.case} ({first.kind}): the adapter's score on them will be too good."
    )


def digest_rows(role: Role, task: Task, rows: Sequence[Row]) -> RowDigests:
    """The digests of rows, over the variables of the task's prompt."""
    names = tuple(find_variables(task.prompt)) if task.prompt else ()
    given = {name for row in rows for name in row.inputs}
    columns = tuple(name for name in names if name in given) or tuple(sorted(given))
    return make_digests(role, columns, (row.inputs for row in rows))


def _render(task: Task, case: Case) -> Row:
    assert task.prompt is not None and case.expected is not None
    try:
        messages = render(task.prompt, case.values, task.examples)
    except PromptError as error:
        raise TrainingError(
            f"Case {case.number} does not fit the prompt {task.prompt.name}: {error.message}", error.hint
        ) from error
    return Row(case.number, messages, case.expected, task.prompt.mode, case.variables)


def iterate_questions(rows: Iterable[Row]) -> Iterator[tuple[Message, ...]]:
    return (row.messages for row in rows)
