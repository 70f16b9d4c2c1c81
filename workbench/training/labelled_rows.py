"""Labelled answers: prompts with an answer that is good or bad, from a file, from pairs, or from blind votes on a run.

A pair is two of them: its better answer is good and its worse one bad, as TRL unpairs it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from workbench import files, paths
from workbench.datasets.preferences import read_labelled
from workbench.errors import TrainingError
from workbench.training.preference_pairs import (
    PreferencePair,
    hold_out,
    make_conversation,
    number_problem,
    read_cells,
    read_inputs,
    read_pairs,
    refuse_rows,
    render_own,
)
from workbench.training.rows import TrainingRow
from workbench.training.task import Task

LABELLED_FORM = '{"prompt": "…", "completion": "the answer", "label": true}'


class LabelledRow(NamedTuple):
    """A prompt with its answer. label: whether the answer is good."""

    row: TrainingRow
    label: bool


class LabelledRows(NamedTuple):
    """Training and validation rows, in the order in which they are learned and measured. path, digest: where they
    come from. ties: pairs of answers with as many votes, which are left out."""

    train: tuple[LabelledRow, ...]
    validation: tuple[LabelledRow, ...]
    path: str
    digest: str
    ties: int = 0


def read_labelled_rows(task: Task) -> LabelledRows:
    """The rows that a recipe names: of labels, or of pairs. Raises TrainingError when none can be used."""
    preference = task.recipe.preference
    assert preference is not None
    seed = task.recipe.training.seed
    if preference.votes or not _has_labels(task, preference.path):
        pairs = read_pairs(task)
        train, held = _unpair(pairs.train), _unpair(pairs.validation)
        return LabelledRows(_mix(train, seed), _mix(held, seed), pairs.path, pairs.digest, pairs.ties)
    file = paths.find_input(preference.path, task.folder)
    rows = _read_file(task, preference.path)
    if preference.validation:
        train, held = rows, _read_file(task, preference.validation)
    else:
        train, held = hold_out(rows, seed)
    return LabelledRows(_mix(train, seed), _mix(held, seed), str(file), files.digest(file))


def count_labels(rows: Sequence[LabelledRow]) -> str:
    """A sentence where one label is missing or far rarer than the other; else nothing."""
    good = sum(row.label for row in rows)
    bad = len(rows) - good
    if good and bad and max(good, bad) <= 4 * min(good, bad):
        return ""
    return (
        f"{good:,} answers are labelled good and {bad:,} bad: weigh the rarer ones by preference.desirable_weight or"
        " preference.undesirable_weight, so that weight times number is about equal."
    )


def _mix(rows: Sequence[LabelledRow], seed: int) -> tuple[LabelledRow, ...]:
    """In random order: KTO goes through its rows in theirs, and a batch needs both labels; TRL measures a margin in no
    other batch."""
    mixed = list(rows)
    random.Random(seed).shuffle(mixed)
    return tuple(mixed)


def _unpair(pairs: Sequence[PreferencePair]) -> tuple[LabelledRow, ...]:
    good = [LabelledRow(pair.row, True) for pair in pairs]
    return (*good, *(LabelledRow(pair.row._replace(answer=pair.rejected), False) for pair in pairs))


def _has_labels(task: Task, path: str) -> bool:
    """Whether the first row that can be read has a label."""
    first = next((row for row in read_cells(paths.find_input(path, task.folder)) if not isinstance(row, str)), {})
    return "label" in first or "kto_tag" in first


def _read_file(task: Task, path: str) -> tuple[LabelledRow, ...]:
    file = paths.find_input(path, task.folder)
    rows: list[LabelledRow] = []
    problems: list[str] = []
    for number, cells in enumerate(read_cells(file), 1):
        try:
            if isinstance(cells, str):
                raise ValueError(cells)
            rows.append(_read_row(task, cells, number))
        except (KeyError, TypeError, ValueError, msgspec.DecodeError) as error:
            problems.append(number_problem(number, error))
    if problems:
        raise refuse_rows(str(file), "labelled answers", problems, LABELLED_FORM)
    if not rows:
        raise TrainingError(f"No labelled answers in {file}.", f"Expected rows like {LABELLED_FORM}.")
    return tuple(rows)


def _read_row(task: Task, cells: Mapping[str, str], number: int) -> LabelledRow:
    known = ("prompt", "conversations", "messages", "instruction")
    if "variables" in cells or (task.prompt is not None and not any(name in cells for name in known)):
        messages, mode = render_own(task, cells, ("completion", "label"))
        found = read_labelled({**cells, "prompt": ""})
    else:
        found = read_labelled(cells)
        messages, mode = make_conversation(task, found.prompt)
    row = TrainingRow(number, messages, found.completion, mode, read_inputs(cells, messages), tools=found.tools)
    return LabelledRow(row, found.label)
