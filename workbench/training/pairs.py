"""Pairs: prompts with a better and a worse answer, from a file of preferences or from the blind votes on a run.

Knows nothing of tokens. A file's rows are those of TRL: `prompt`, `chosen` and `rejected`, each text or a conversation.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from workbench import files, paths
from workbench.errors import TrainingError
from workbench.prompting.prompt import ROLES, Message, Mode
from workbench.prompting.render import render
from workbench.training.rows import Row
from workbench.training.task import Task

_SHOWN = 5
_HELD_OUT = 0.1


class Pair(NamedTuple):
    """A prompt, and two answers to it."""

    row: Row
    rejected: str

    @property
    def chosen(self) -> str:
        return self.row.answer


class Pairs(NamedTuple):
    """What is learned from, and what is examined on. path and digest: where they come from."""

    train: tuple[Pair, ...]
    validation: tuple[Pair, ...]
    path: str
    digest: str


def read_pairs(task: Task) -> Pairs:
    """The pairs that a recipe names. Raises TrainingError when none can be used."""
    preference = task.recipe.preference
    assert preference is not None
    if preference.votes:
        path, records = f"votes on {preference.votes}", list(_read_votes(preference.votes, task))
        digest = files.digest_text(msgspec.json.encode(records).decode())
    else:
        file = paths.find_input(preference.path, task.folder)
        path, digest, records = str(file), files.digest(file), list(_read_file(file))
    pairs = _convert(task, records, path)
    if preference.validation:
        other = paths.find_input(preference.validation, task.folder)
        return Pairs(pairs, _convert(task, list(_read_file(other)), str(other)), path, digest)
    return Pairs(*_hold_out(pairs, task.recipe.training.seed), path, digest)


def _hold_out(pairs: tuple[Pair, ...], seed: int) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    if len(pairs) < 10:
        return pairs, ()
    chosen = set(random.Random(seed).sample(range(len(pairs)), max(1, round(len(pairs) * _HELD_OUT))))
    held = tuple(pair for at, pair in enumerate(pairs) if at in chosen)
    return tuple(pair for at, pair in enumerate(pairs) if at not in chosen), held


def _read_file(path: Path) -> Iterator[dict[str, Any]]:
    for line in files.read_text(path).splitlines():
        if line.strip():
            try:
                yield msgspec.json.decode(line, type=dict[str, Any])
            except msgspec.DecodeError:
                yield {}


def _read_votes(run: str, task: Task) -> Iterator[dict[str, Any]]:
    from workbench.evaluation.preferences import export_preferences
    from workbench.evaluation.view import RunView
    from workbench.evaluation.votes import Votes
    from workbench.store.store import Store

    store = Store(paths.data_folder() / "workbench.sqlite")
    try:
        view = RunView(store, run)
        yield from export_preferences(view, Votes(store, view).list(), task.recipe.variant)
    finally:
        store.close()


def _convert(task: Task, records: Iterable[dict[str, Any]], where: str) -> tuple[Pair, ...]:
    pairs: list[Pair] = []
    problems: list[str] = []
    for number, record in enumerate(records, 1):
        try:
            pairs.append(_read_record(task, record, number))
        except (KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
            problems.append(f"  row {number}: {_explain(error)}")
    if problems:
        more = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise TrainingError(
            f"{where} has rows that are no pairs of answers:\n" + "\n".join(problems[:_SHOWN]) + more,
            'A row is such as {"prompt": "…", "chosen": "the better answer", "rejected": "the worse answer"}.',
        )
    if not pairs:
        raise TrainingError(f"{where} holds no pair of answers.", "Vote on a run first, or name a file of pairs.")
    return tuple(pairs)


def _read_record(task: Task, record: dict[str, Any], number: int) -> Pair:
    missing = [key for key in ("chosen", "rejected") if key not in record]
    if missing:
        raise KeyError(" and ".join(missing))
    chosen, rejected = _answer(record["chosen"]), _answer(record["rejected"])
    if chosen == rejected:
        raise ValueError("both answers are the same")
    messages, mode = _ask(task, record)
    return Pair(Row(number, messages, chosen, mode, _inputs(record, messages)), rejected)


def _inputs(record: dict[str, Any], messages: tuple[Message, ...]) -> dict[str, object]:
    """What the prompt was filled with, where the record tells; else what its last user turn says."""
    given = record.get("inputs", record.get("variables"))
    if isinstance(given, dict):
        return given
    said = [message.content for message in messages if message.role == "user"]
    return {"prompt": said[-1]} if said else {}


def _ask(task: Task, record: dict[str, Any]) -> tuple[tuple[Message, ...], Mode]:
    """The conversation: as the row has it; where the row has variables instead, the task's prompt filled with them."""
    given = record.get("prompt")
    if isinstance(given, list):
        turns = tuple(msgspec.convert(given, tuple[Message, ...]))
        return turns, "chat"
    if task.prompt is not None and (given is None or isinstance(record.get("variables"), dict)):
        values = record.get("variables") or {key: value for key, value in record.items() if isinstance(value, str)}
        return render(task.prompt, values, task.examples), task.prompt.mode
    if not isinstance(given, str):
        raise KeyError("prompt")
    return (Message("user", given),), "completion" if task.prompt and task.prompt.mode == "completion" else "chat"


def _answer(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and isinstance(value[-1], dict) and value[-1].get("role") in ROLES:
        return str(value[-1]["content"])
    raise TypeError("an answer is text, or a list that ends with an assistant's message")


def _explain(error: Exception) -> str:
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
