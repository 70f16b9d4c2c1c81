"""Preference pairs: prompts with a better and a worse answer, from a file or from the blind votes on a run.

A file has rows of any form that datasets/preferences.py reads, such as TRL's `prompt`, `chosen` and `rejected`; one
without a prompt is a row of the recipe's own prompt, whose variables are its other columns, or stand in `variables`.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from workbench import files, paths
from workbench.datasets.conversation import is_turns
from workbench.datasets.opening import open_source
from workbench.datasets.preferences import read_preferences
from workbench.datasets.source import RowError
from workbench.datasets.spec import Dataset
from workbench.errors import TrainingError, WorkbenchError
from workbench.prompting.prompt import Message, Mode
from workbench.prompting.render import render
from workbench.training.rows import TrainingRow
from workbench.training.task import Task

_SHOWN = 5
_HELD_OUT = 0.1

Row = TypeVar("Row")


class PreferencePair(NamedTuple):
    """A prompt, and two answers to it."""

    row: TrainingRow
    rejected: str

    @property
    def chosen(self) -> str:
        return self.row.answer


class PreferencePairs(NamedTuple):
    """Training and validation pairs. path, digest: where they come from. ties: pairs of answers with as many votes,
    which are left out."""

    train: tuple[PreferencePair, ...]
    validation: tuple[PreferencePair, ...]
    path: str
    digest: str
    ties: int = 0


class PairList(NamedTuple):
    """The pairs of one source. ties: as in PreferencePairs."""

    pairs: tuple[PreferencePair, ...]
    ties: int = 0


def read_pairs(task: Task) -> PreferencePairs:
    """The pairs that a recipe names. Raises TrainingError when none can be used."""
    preference = task.recipe.preference
    assert preference is not None
    records: list[dict[str, str] | str]
    if preference.votes:
        path, records = f"votes on {preference.votes}", [*_read_votes(preference.votes, task)]
        digest = files.digest_text(msgspec.json.encode(records).decode())
    else:
        file = paths.find_input(preference.path, task.folder)
        path, digest, records = str(file), files.digest(file), list(read_cells(file))
    found = _convert(task, records, path)
    if preference.validation:
        other = paths.find_input(preference.validation, task.folder)
        held = _convert(task, list(read_cells(other)), str(other))
        return PreferencePairs(found.pairs, held.pairs, path, digest, found.ties + held.ties)
    train, validation = hold_out(found.pairs, task.recipe.training.seed)
    return PreferencePairs(train, validation, path, digest, found.ties)


def hold_out(rows: Sequence[Row], seed: int) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Rows to train on, and a tenth of them for evaluation; none of fewer than ten."""
    if len(rows) < 10:
        return tuple(rows), ()
    chosen = set(random.Random(seed).sample(range(len(rows)), max(1, round(len(rows) * _HELD_OUT))))
    held = tuple(row for at, row in enumerate(rows) if at in chosen)
    return tuple(row for at, row in enumerate(rows) if at not in chosen), held


def read_cells(path: Path) -> Iterator[dict[str, str] | str]:
    """The rows of a file in any format of datasets, as texts by column; what is wrong with one that cannot be read."""
    try:
        for row in open_source(Dataset(str(path)), path.parent).source.scan():
            yield row.message if isinstance(row, RowError) else row.cells
    except TrainingError:
        raise
    except WorkbenchError as error:
        raise TrainingError(error.message, error.hint, error.details) from error


def _read_votes(run: str, task: Task) -> Iterator[dict[str, str]]:
    from workbench.analysis.preferences import export_preferences
    from workbench.analysis.votes import Votes
    from workbench.runs.view import RunView
    from workbench.store.store import Store

    store = Store(paths.data_folder() / "workbench.sqlite")
    try:
        view = RunView(store, run)
        for record in export_preferences(view, Votes(store, view).list(), task.recipe.variant):
            yield to_cells(record)
    finally:
        store.close()


def to_cells(record: Mapping[str, Any]) -> dict[str, str]:
    """A record as the columns of a file would have it: what is no text as JSON."""
    return {
        key: value if isinstance(value, str) else msgspec.json.encode(value).decode() for key, value in record.items()
    }


def _convert(task: Task, rows: Iterable[dict[str, str] | str], where: str) -> PairList:
    pairs: list[PreferencePair] = []
    problems: list[str] = []
    ties = 0
    for number, row in enumerate(rows, 1):
        try:
            found = _read_row(task, row, number)
        except (KeyError, TypeError, ValueError, msgspec.DecodeError) as error:
            problems.append(number_problem(number, error))
        else:
            pairs += found.pairs
            ties += found.ties
    if problems:
        raise refuse_rows(where, "preference pairs", problems, PAIR_FORM)
    if not pairs:
        raise TrainingError(f"No preference pairs in {where}.", "Vote on a run first, or name a file of pairs.")
    return PairList(tuple(pairs), ties)


PAIR_FORM = '{"prompt": "…", "chosen": "the better answer", "rejected": "the worse answer"}'


def refuse_rows(where: str, what: str, problems: Sequence[str], form: str) -> TrainingError:
    """The error for rows of another form: the first problems, and how many there are more."""
    more = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return TrainingError(
        f"{where} has rows that are not {what}:\n" + "\n".join(problems[:_SHOWN]) + more,
        f"Expected rows like {form}.",
    )


def _read_row(task: Task, row: dict[str, str] | str, number: int) -> PairList:
    if isinstance(row, str):
        raise ValueError(row)
    if "variables" in row or (task.prompt is not None and _is_own(row)):
        return PairList((_read_own(task, row, number),))
    found = read_preferences(row)
    pairs = []
    for record in found.records:
        messages, mode = make_conversation(task, record.prompt)
        of_prompt = TrainingRow(number, messages, record.chosen, mode, read_inputs(row, messages), tools=record.tools)
        pairs.append(PreferencePair(of_prompt, record.rejected))
    return PairList(tuple(pairs), found.ties)


def _is_own(row: Mapping[str, str]) -> bool:
    """Whether a row has the variables of the recipe's prompt instead of a prompt."""
    known = ("prompt", "conversations", "instruction", "preferred_output", "votes")
    answer = row.get("chosen", "")
    return not any(name in row for name in known) and not is_turns(answer)


def _read_own(task: Task, row: dict[str, str], number: int) -> PreferencePair:
    missing = [key for key in ("chosen", "rejected") if key not in row]
    if missing:
        raise KeyError(" and ".join(missing))
    chosen, rejected = row["chosen"], row["rejected"]
    if chosen == rejected:
        raise ValueError("both answers are the same")
    messages, mode = render_own(task, row, ("chosen", "rejected"))
    return PreferencePair(TrainingRow(number, messages, chosen, mode, read_inputs(row, messages)), rejected)


def render_own(task: Task, row: Mapping[str, str], answers: Collection[str]) -> tuple[tuple[Message, ...], Mode]:
    """The recipe's prompt with a row's variables. answers: columns that are none. Raises KeyError and ValueError."""
    if task.prompt is None:
        raise KeyError("prompt")
    given = msgspec.json.decode(row["variables"]) if "variables" in row else None
    if given is not None and not isinstance(given, dict):
        raise ValueError(f"variables: expected an object, found {row['variables'][:40]}")
    values = given or {key: value for key, value in row.items() if key not in answers}
    return render(task.prompt, values, task.examples), task.prompt.mode


def make_conversation(task: Task, prompt: tuple[Message, ...] | str) -> tuple[tuple[Message, ...], Mode]:
    """A row's own prompt as a conversation; a text is one turn of the user, or what is completed."""
    if not isinstance(prompt, str):
        return prompt, "chat"
    return (Message("user", prompt),), "completion" if task.prompt and task.prompt.mode == "completion" else "chat"


def read_inputs(row: Mapping[str, str], messages: tuple[Message, ...]) -> dict[str, object]:
    """The variables of the prompt, where the row has them; else its last user turn."""
    given = row.get("inputs") or row.get("variables")
    if given:
        decoded = msgspec.json.decode(given)
        if isinstance(decoded, dict):
            return decoded
    turns = [message.content for message in messages if message.role == "user"]
    return {"prompt": turns[-1]} if turns else {}


def number_problem(number: int, error: Exception) -> str:
    """What is wrong with a row, as a line."""
    text = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
    return f"  row {number}{text if text.startswith(', ') else f': {text}'}"
