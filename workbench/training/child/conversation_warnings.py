"""What to know of rows that are conversations or documents: how they are read, and what of them is not trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from workbench.prompting.render import find_variables
from workbench.training.child.tokenized_dataset import TokenizedDataset
from workbench.training.child.training_model import TrainingModel
from workbench.training.task import Task
from workbench.training.training_row import RenderedRows
from workbench.units import format_plural, format_subject

_NAMED = 5


def describe_type(task: Task, loaded: TrainingModel) -> Iterator[str]:
    """How the rows are read, where they are not variables of a prompt."""
    if task.recognized is None:
        return
    if task.recognized.type == "text":
        end = loaded.vocabulary.text(loaded.vocabulary.eos) if loaded.vocabulary.eos is not None else ""
        packed = ", and documents are packed into full sequences" if task.recipe.training.packing else ""
        yield (
            f"The rows are read as {task.recognized.words}: the loss is on every token, {end} ends each document"
            f"{packed}."
        )
    else:
        turns = "every turn" if task.recipe.training.assistant_turns == "all" else "the last turn"
        yield f"The rows are read as {task.recognized.words}: the loss is on {turns} of the assistant."
    if task.recipe.bench or task.recipe.prompt:
        yield "The prompt is not used: these rows have none."


def describe_history(task: Task, rendered: RenderedRows) -> Iterator[str]:
    """Conversations of which the prompt shows the last question alone."""
    if task.prompt is None or not {"history", "messages"}.isdisjoint(find_variables(task.prompt)):
        return
    hidden = sum(bool(row.inputs.get("history")) for row in rendered.rows)
    if hidden:
        yield (
            f"Of {format_plural(hidden, 'training row')} with several turns the prompt shows the last question alone:"
            " `dataset_type: conversation` trains every turn, and `history` in the prompt shows the turns before."
        )


def describe_rendered(rendered: RenderedRows, what: str) -> Iterator[str]:
    """What of the cases is in no row."""
    for remark, count in rendered.remarks:
        yield f"{remark} ({format_plural(count, what)})."


def describe_turns(tokenized: TokenizedDataset, what: str) -> Iterator[str]:
    """What of conversations the model cannot be shown as they are, or not whole."""
    if tokenized.divided:
        yield (
            f"{format_subject(tokenized.divided, what)} trained as {tokenized.sequences:,} sequences: the chat template"
            " writes an earlier answer differently from how it was generated, so that each such answer gets its own."
        )
    for note, count in tokenized.notes:
        yield f"{note.rstrip('.')} ({format_plural(count, what)})."
    if tokenized.shortened:
        turns = sum(one.turns for one in tokenized.shortened)
        cases = list_cases([one.case for one in tokenized.shortened])
        answers = f"the last {turns:,} answers are" if turns > 1 else "the last answer is"
        yield (
            f"{format_subject(len(tokenized.shortened), what)} longer than {tokenized.limit} tokens:"
            f" {answers} left out, whole ({cases})."
        )
    if tokenized.refused:
        cases = list_cases([one.case for one in tokenized.refused])
        yield (
            f"{format_subject(len(tokenized.refused), what)} left out, as the chat template"
            f" refuses the turns ({cases}): {tokenized.refused[0].reason}"
        )


def describe_unscored(validation: TokenizedDataset | None) -> Iterator[str]:
    """Validation rows whose answer is a tool call."""
    called = len({row.case for row in validation.rows if row.calls}) if validation else 0
    if called:
        yield (
            f"{format_subject(called, 'validation row')} answered by a tool call, which is not scored"
            " while training: only the loss counts it."
        )


def list_cases(cases: Sequence[int]) -> str:
    """`cases 3, 7 and 2 more`."""
    shown = ", ".join(map(str, cases[:_NAMED]))
    more = f" and {len(cases) - _NAMED:,} more" if len(cases) > _NAMED else ""
    return f"case{'s' if len(cases) > 1 else ''} {shown}{more}"
