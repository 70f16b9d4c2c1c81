"""Remarks: what a person should know of the rows before they are learned, the same in a dry run and in a job.

Knows nothing of how it is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from workbench.training.child.ends import find_untrained
from workbench.training.child.learner import Learner
from workbench.training.child.lessons import Lessons
from workbench.training.recipe import Recipe
from workbench.training.rows import Rendered, find_empty, find_overlap, tell_test_overlap
from workbench.training.task import Task

_NAMED = 5


def describe_rows(
    task: Task, learner: Learner, rendered: Rendered, taught: Lessons, held: Rendered, examined: Lessons | None
) -> tuple[str, ...]:
    """Sentences, those of the rows to learn from first. rendered, held: rows to learn from and to examine on; taught,
    examined: the same as token ids."""
    recipe = task.recipe
    sentences = [
        *_describe_split(rendered, taught, "rows"),
        *_describe_encoding(learner, taught),
        *_describe_end(learner, taught, recipe),
        *_describe_split(held, examined, "validation rows"),
    ]
    shared = find_overlap(taught.rows, held.rows)
    if shared:
        sentences.append(f"{shared} rows of the validation split stand in the train split as well: its scores flatter.")
    if not held.rows and not recipe.preference:
        sentences.append("There is no validation split: nothing tells when it begins to learn the rows by heart.")
    return tuple(filter(None, (*sentences, tell_test_overlap(task, taught.rows))))


def _describe_split(rendered: Rendered, lessons: Lessons | None, what: str) -> Iterator[str]:
    if rendered.unlabelled:
        yield f"{len(rendered.unlabelled)} {what} have no expected answer and are left out."
    empty = find_empty(rendered.rows)
    if empty:
        yield (
            f"{len(empty)} {what} have an empty answer ({_name_cases(empty)}): what they teach is to end at once. Leave"
            " them out of the dataset where an answer is only missing."
        )
    if lessons and lessons.lost:
        yield f"{lessons.lost} {what} are longer than {lessons.limit} tokens and are left out."
    if lessons and lessons.cut:
        yield (
            f"{lessons.cut} {what} are longer than {lessons.limit} tokens: the ends of their answers are cut, and their"
            " end is not learned."
        )


def _describe_encoding(learner: Learner, taught: Lessons) -> Iterator[str]:
    if any(one.parted for one in taught.encoded):
        yield (
            "The chat template writes an answered prompt otherwise than an open one; what is asked is what is trained."
        )
    stripped = sum(one.stripped for one in taught.encoded)
    if stripped:
        yield f"White space around {stripped} answers is not learned, as the chat template leaves it out."


def _describe_end(learner: Learner, taught: Lessons, recipe: Recipe) -> Iterator[str]:
    own = next((row for row, one in zip(taught.rows, taught.encoded, strict=True) if one.own_end), None)
    if own is not None and own.mode == "chat":
        end = learner.vocabulary.text(learner.vocabulary.eos)
        yield (
            f"The chat template closes an answer with no token that ends one: the tokenizer's own, {end}, is learned"
            " behind each answer."
        )
    trained = recipe.method.kind == "full" or len(recipe.method.modules_to_save) > 1
    untrained = () if trained else find_untrained(learner.model, {one.ids[one.end] for one in taught.encoded})
    if untrained:
        names = " and ".join(learner.vocabulary.text(token) for token in untrained)
        yield (
            f"The base has never learned {names}, which ends an answer: its numbers are not those of a trained token."
            " Name embed_tokens and lm_head in method.modules_to_save, or its answers may not end."
        )


def _name_cases(cases: Sequence[int]) -> str:
    shown = ", ".join(map(str, cases[:_NAMED]))
    more = f" and {len(cases) - _NAMED} more" if len(cases) > _NAMED else ""
    return f"case{'s' if len(cases) > 1 else ''} {shown}{more}"
