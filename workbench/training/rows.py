"""Training rows: the cases of a dataset rendered in the prompt of a task, each with its expected answer.

They are rendered by the code of inference, so that training and inference see the same prompts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from workbench.datasets import Case, Cases
from workbench.datasets.row_digests import Role, RowDigests, SeenRows, make_digests
from workbench.datasets.turns import CALLS, has_turns
from workbench.errors import DatasetError, PromptError, TrainingError
from workbench.prompting.render import find_variables, render
from workbench.training.conversation_rows import TurnsRow, read_conversation_rows, read_documents, render_turns
from workbench.training.mixed_cases import MixedCases
from workbench.training.row_passages import RowPassages
from workbench.training.task import Task
from workbench.training.training_row import RenderedRows as RenderedRows
from workbench.training.training_row import TrainingRow as TrainingRow


def render_rows(task: Task, cases: Iterable[Case]) -> RenderedRows:
    """The cases in the task's prompt. Raises TrainingError when none has an answer or the prompt does not fit them."""
    rows: list[TrainingRow] = []
    unlabelled: list[int] = []
    remarks: Counter[str] = Counter()
    with RowPassages(task.passages) as passages:
        for case in cases:
            shown, more = passages.fill(case)
            made = _render(task, shown)
            remarks.update((*made.remarks, *more) if made.row else ())
            if made.row is None:
                unlabelled.append(case.number)
            else:
                rows.append(made.row)
    return _check(RenderedRows(tuple(rows), tuple(unlabelled), tuple(sorted(remarks.items()))))


def _check(rendered: RenderedRows) -> RenderedRows:
    """The same rows. Raises TrainingError when nothing of them can be learned."""
    hint = "Set `expected` of the dataset in the recipe to the column with the expected answer."
    if not rendered.rows:
        seen = f"none of the {len(rendered.unlabelled)} rows has" if rendered.unlabelled else "there is no row with"
        raise TrainingError(f"No rows to train on: {seen} an expected answer.", hint)
    if not any(row.answer.strip() or row.calls or row.learned for row in rendered.rows):
        raise TrainingError(
            f"No rows to train on: the expected answers of all {len(rendered.rows)} rows are empty.", hint
        )
    return rendered


def render_training(task: Task) -> RenderedRows:
    """The training rows. Raises TrainingError."""
    if task.train is None or (task.prompt is None and task.recognized is None):
        raise TrainingError("No rows to train on.", "Add a dataset as `train` in the recipe.")
    return _read(task, task.train)


def render_validation(task: Task) -> RenderedRows:
    """The validation rows; none where the recipe has none."""
    if task.validation is None or (task.prompt is None and task.recognized is None):
        return RenderedRows((), ())
    return _read(task, task.validation)


def _read(task: Task, cases: Cases | MixedCases) -> RenderedRows:
    if task.recognized is None:
        return render_rows(task, cases)
    if task.recognized.type == "text":
        return read_documents(cases)
    every = task.recipe.training.assistant_turns == "all"
    return _check(read_conversation_rows(cases, task.recognized, every))


def find_empty(rows: Iterable[TrainingRow]) -> tuple[int, ...]:
    """The cases whose answer is empty or white space: they teach the model to stop at once."""
    return tuple(row.case for row in rows if not row.answer.strip() and not row.calls)


def find_overlap(train: Iterable[TrainingRow], validation: Iterable[TrainingRow]) -> int:
    """How many validation rows are also training rows, word for word."""
    known = {row.messages or row.answer for row in train}
    return sum(1 for row in validation if (row.messages or row.answer) in known)


def describe_test_overlap(task: Task, rows: Sequence[TrainingRow]) -> str:
    """A sentence where training rows are also test cases of the bench; "" where none is."""
    if task.test is None or not rows:
        return ""
    seen = SeenRows([digest_rows("train", task, rows)]).find((case.number, case.variables) for case in task.test)
    if not seen:
        return ""
    first = seen[0]
    return (
        f"{len(seen):,} of the bench's {len(task.test):,} test cases are also training rows, the first as case"
        f" {first.case} ({first.kind}): the adapter's score on them will be too good."
    )


def digest_rows(role: Role, task: Task, rows: Sequence[TrainingRow]) -> RowDigests:
    """The digests of rows, over the variables of the task's prompt."""
    names = tuple(find_variables(task.prompt)) if task.prompt else ()
    given = {name for row in rows for name in row.inputs}
    columns = tuple(name for name in names if name in given) or tuple(sorted(given))
    return make_digests(role, columns, (row.inputs for row in rows))


def _render(task: Task, case: Case) -> TurnsRow:
    """The case in the prompt; without a row where it has no answer."""
    assert task.prompt is not None
    several = has_turns(case) or (bool(task.prompt.tools) and bool(case.variables.get(CALLS, "").strip()))
    if not several and case.expected is None:
        return TurnsRow(None)
    try:
        if several:
            every = task.recipe.training.assistant_turns == "all"
            return render_turns(task.prompt, task.examples, case, every, task.tools)
        messages = render(task.prompt, case.values, task.examples)
    except PromptError as error:
        raise TrainingError(
            f"Case {case.number} does not fit the prompt {task.prompt.name}: {error.message}", error.hint
        ) from error
    except DatasetError as error:
        raise TrainingError(error.message, error.hint) from error
    assert case.expected is not None
    tools = task.prompt.tools
    return TurnsRow(TrainingRow(case.number, messages, case.expected, task.prompt.mode, case.variables, tools=tools))
