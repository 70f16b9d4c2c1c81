"""Few-shot examples for a new bench, drawn from its training split or from the cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from workbench.datasets.case import Case
from workbench.datasets.cases import Cases, load_cases
from workbench.errors import DatasetError, FileError
from workbench.prompting.prompt import Example
from workbench.runs.case_file import LOOKED_AT, TRAINS, CaseFile
from workbench.runs.task_kind import DetectedTask
from workbench.units import format_plural

_EXAMPLE_CHARS = 2000  # a longer row is no few-shot example: several would fill a context


class DrawnExamples(NamedTuple):
    examples: tuple[Example, ...] = ()
    exclude: tuple[int, ...] = ()
    note: str = ""


def draw_examples(opened: CaseFile, cases: Sequence[Case], task: DetectedTask, inputs: Sequence[str]) -> DrawnExamples:
    """Few-shot examples from the training split; without one from the cases, which then lack these rows."""
    wanted = min(max(len(task.labels), 3), 8)
    same = {_identify(case) for case in cases}
    if train := _open_train(opened):
        rows = [case for case in train[:LOOKED_AT] if _is_usable(case) and _identify(case) not in same]
        chosen = _spread(rows, wanted, task)
        note = (
            f"Examples: {format_plural(len(chosen), 'row')} of the"
            f" training split; all {len(opened.cases):,} cases remain."
        )
        return DrawnExamples(_make_examples(chosen, inputs), (), note if chosen else "")
    chosen = _spread([case for case in cases if _is_usable(case)], min(wanted, len(opened.cases) // 3), task)
    if not chosen:
        return DrawnExamples(note="Examples: none, since there are too few rows with an expected answer.")
    taken = {_identify(case) for case in chosen}
    exclude = tuple(case.number for case in cases if _identify(case) in taken)
    if len(exclude) == len(opened.cases):
        return DrawnExamples(note="Examples: none, since all rows are alike.")
    numbers = ", ".join(str(case.number) for case in chosen)
    left = len(opened.cases) - len(exclude)
    note = f"Examples: {format_plural(len(chosen), 'row')} ({numbers}), excluded from the cases; {left:,} cases remain."
    return DrawnExamples(_make_examples(chosen, inputs), exclude, note)


def _open_train(opened: CaseFile) -> Cases | None:
    """The training rows beside the cases, if there are any."""
    where: Mapping[str, Any] = opened.dataset.where
    train = next((name for name in TRAINS if name in opened.cases.splits and name != opened.cases.split), "")
    for name in TRAINS if where else [train] if train else []:
        dataset = opened.dataset
        changed = (
            msgspec.structs.replace(dataset, where=dict.fromkeys(where, name), on_error="skip")
            if where
            else msgspec.structs.replace(dataset, split=name, on_error="skip")
        )
        try:
            return load_cases(changed, opened.folder)
        except (DatasetError, FileError):
            continue
    return None


def _identify(case: Case) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((k, v.strip()) for k, v in case.variables.items() if k.casefold() not in ("id", "split")))


def _is_usable(case: Case) -> bool:
    answer = (case.expected or "").strip()
    return bool(answer) and sum(map(len, case.variables.values())) + len(answer) <= _EXAMPLE_CHARS


def _spread(rows: Sequence[Case], count: int, task: DetectedTask) -> list[Case]:
    """So many rows: a row of each label in turn, else from the whole length of the file."""
    distinct = list({_identify(row): row for row in reversed(rows)}.values())[::-1]
    if count < 1 or not distinct:
        return []
    if not task.labels:
        step = max(len(distinct) // count, 1)
        return distinct[::step][:count]
    groups = [[row for row in distinct if (row.expected or "").strip() == label] for label in task.labels]
    turns = [group[turn] for turn in range(count) for group in groups if turn < len(group)]
    return sorted(turns[:count], key=lambda row: row.number)


def _make_examples(cases: Sequence[Case], inputs: Sequence[str]) -> tuple[Example, ...]:
    return tuple(
        Example(f"e{number}", _pick(case, inputs), case.expected or "", tuple(set(case.typed) & set(inputs)))
        for number, case in enumerate(cases, 1)
    )


def _pick(case: Case, inputs: Sequence[str]) -> dict[str, str]:
    """The variables that the prompt shows: `id` and `answer` are the examples file's own."""
    return {name: case.variables[name] for name in inputs if name in case.variables}
