"""Preferences: votes as pairs of a chosen and a rejected answer, for preference training.

Knows nothing of how votes come about. The records are TRL's: conversational ones for prompts that are chats, plain
text for those that are completed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from workbench.errors import WorkbenchError
from workbench.evaluation.launch import enabled_examples
from workbench.evaluation.provenance import Provenance
from workbench.evaluation.view import RunView
from workbench.evaluation.votes import Vote
from workbench.prompting.render import render


def export_preferences(view: RunView, votes: Sequence[Vote], prompt_of: str = "") -> Iterator[dict[str, Any]]:
    """Each decided vote as `prompt`, `chosen`, `rejected` and the case's `inputs`; ties decide nothing and are left
    out.

    prompt_of: the variant whose prompt all records begin with, such as the short one that an adapter is trained for;
    else that of the variant that was preferred.
    Raises StoreError when what a variant came from is not known, PromptError when it cannot be rendered.
    """
    origins: dict[str, Provenance] = {}
    for vote in votes:
        if vote.choice == "tie":
            continue
        name = prompt_of or vote.winner
        if name not in origins:
            origins[name] = _find_origin(view, name)
        chosen, rejected = (view.cell(side, vote.case, vote.repeat) for side in (vote.winner, vote.loser))
        if chosen is not None and rejected is not None:
            texts = chosen.completion.text, rejected.completion.text
            yield _describe(origins[name], view, vote, *texts)


def _find_origin(view: RunView, variant: str) -> Provenance:
    text = view.provenance(variant)
    if not text:
        raise WorkbenchError(f"What {variant} asked is not known any more.", "Name another variant's prompt.")
    return Provenance.decode(text)


def _describe(origin: Provenance, view: RunView, vote: Vote, chosen: str, rejected: str) -> dict[str, Any]:
    case = view.case(vote.case)
    prompt, inputs = origin.prompt, case.variables
    messages = render(prompt, case.values, enabled_examples(origin.variant, prompt))
    if prompt.mode == "completion":
        text = "".join(one.content for one in messages)
        return {"prompt": text, "chosen": chosen, "rejected": rejected, "inputs": inputs}
    return {
        "prompt": list(msgspec.to_builtins(messages)),
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
        "inputs": inputs,
    }
