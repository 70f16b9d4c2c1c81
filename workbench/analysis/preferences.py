"""Votes as pairs of a chosen and a rejected answer, for preference training.

The records are TRL's: conversational ones for prompts that are chats, plain text for those that are completed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from workbench import files
from workbench.analysis.votes import Vote, Votes
from workbench.errors import WorkbenchError
from workbench.prompting.render import render
from workbench.runs.generation import examples_for
from workbench.runs.passage_finder import PassageFinder
from workbench.runs.provenance import Provenance
from workbench.runs.view import RunView


def export_preferences(view: RunView, votes: Sequence[Vote], prompt_of: str = "") -> Iterator[dict[str, Any]]:
    """Each decided vote as `prompt`, `chosen`, `rejected` and the case's `inputs`; ties decide nothing and are left
    out.

    prompt_of: the variant whose prompt all records begin with, such as the short one that an adapter is trained for;
    else that of the variant that was preferred.
    Raises StoreError when what a variant came from is not known, PromptError when it cannot be rendered.
    """
    origins: dict[str, Provenance] = {}
    finder = PassageFinder()
    for vote in votes:
        if vote.choice == "tie":
            continue
        name = prompt_of or vote.winner
        if name not in origins:
            origins[name] = view.origin(name)
        chosen, rejected = (view.cell(side, vote.case, vote.repeat) for side in (vote.winner, vote.loser))
        if chosen is not None and rejected is not None:
            texts = chosen.completion.text, rejected.completion.text
            yield describe_pair(origins[name], view, vote.case, *texts, finder)


class WrittenPairs(NamedTuple):
    """A file of preference pairs. ties: votes that decided nothing."""

    path: Path
    pairs: int
    ties: int


def write_preferences(votes: Votes, folder: Path) -> WrittenPairs:
    """Write the votes on a run as a file of pairs, JSON Lines, named after the run. Raises StoreError, PromptError,
    FileError, and WorkbenchError where nothing is decided yet."""
    cast = votes.list()
    records = list(export_preferences(votes.view, cast))
    if not records:
        raise WorkbenchError(
            "No vote has preferred an answer yet: there are no pairs.",
            "Vote for the better of two answers.",
        )
    path = folder / f"preferences-{votes.view.id}.jsonl"
    files.write_text(path, "".join(msgspec.json.encode(record).decode() + "\n" for record in records))
    return WrittenPairs(path, len(records), sum(vote.choice == "tie" for vote in cast))


def describe_pair(
    origin: Provenance, view: RunView, number: int, chosen: str, rejected: str, finder: PassageFinder
) -> dict[str, Any]:
    """Two answers to a case of a run as TRL's record, behind the prompt of a variant."""
    case = view.case(number)
    prompt, inputs = origin.prompt, case.variables
    filled = finder.fill(origin.passages, case)
    messages = render(prompt, filled.values, examples_for(origin.variant, prompt, filled))
    if prompt.mode == "completion":
        text = "".join(one.content for one in messages)
        return {"prompt": text, "chosen": chosen, "rejected": rejected, "inputs": inputs}
    return {
        "prompt": list(msgspec.to_builtins(messages)),
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
        "inputs": inputs,
    }
