"""What of a chain the editor can show: the text of each step, under a name by which an edit finds its way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from workbench.prompting.prompt import Prompt
from workbench.prompting.steps import LAST

_SEPARATOR = "\\"
"""between a chain's name and a step's: no prompt's name holds one"""


class EditTarget(NamedTuple):
    """A text that can be edited. name: of a prompt, or of a step that stands in a chain's own file. step: "" for a
    prompt that is no chain. prompt: with the text as its body."""

    name: str
    step: str
    prompt: Prompt


def list_targets(prompt: Prompt, open_prompt: Callable[[str], Prompt]) -> tuple[EditTarget, ...]:
    """The texts of a chain, step by step, its body last; of another prompt its body alone.

    Raises what open_prompt raises.
    """
    if not prompt.steps:
        return (EditTarget(prompt.name, "", prompt),)
    found = []
    for step in prompt.steps:
        if step.prompt:
            found.append(EditTarget(step.prompt, step.name, open_prompt(step.prompt)))
        else:
            own = Prompt(prompt.name, step.template, mode=prompt.mode)
            found.append(EditTarget(f"{prompt.name}{_SEPARATOR}{step.name}", step.name, own))
    return (*found, *([EditTarget(prompt.name, LAST, prompt)] if prompt.body.strip() else []))


def split_target(name: str) -> tuple[str, str]:
    """The prompt that a target's text belongs to, and the step of it; "" for its body."""
    prompt, _, step = name.partition(_SEPARATOR)
    return prompt, step


def replace_text(prompt: Prompt, step: str, text: str) -> Prompt:
    """The prompt with another text of a step, or of its body."""
    if not step:
        return msgspec.structs.replace(prompt, body=text)
    steps = (msgspec.structs.replace(one, template=text) if one.name == step else one for one in prompt.steps)
    return msgspec.structs.replace(prompt, steps=tuple(steps))
