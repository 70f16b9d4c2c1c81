"""Which version of a prompt a text is: a digest of all that is asked with it."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from workbench.prompting.prompt import Example, Prompt
from workbench.prompting.steps import without_contents

_BESIDE = frozenset({"name", "description", "header", "unsupported"})
"""fields that change nothing of what a model is asked"""
_DESCRIBED = frozenset({"body", "examples", "placement", "mode", "defaults", "kinds"})
_PLAIN = Prompt("", "")
SHORT = 8
"""signs of a digest that a person sees; they tell the versions of one prompt apart"""


def digest_prompt(prompt: Prompt) -> str:
    """The version: a digest of text, examples and options; the same under every name and description.

    Fields that stand at their default are left out, so that a field that prompts get later changes no digest. Of a
    chain, the prompts of the library that its steps name are not part of it.
    """
    prompt = without_contents(prompt)  # a run keeps a chain with the prompts of its steps
    held: dict[str, Any] = {
        field: value
        for field in prompt.__struct_fields__
        if field not in _BESIDE and (value := getattr(prompt, field)) != getattr(_PLAIN, field)
    }
    return hashlib.blake2b(msgspec.json.encode(held, order="deterministic"), digest_size=8).hexdigest()


def list_contents(prompt: Prompt) -> list[Prompt]:
    """What the steps of a chain were looked up to be."""
    asked = [held for step in prompt.steps for held in (step, step.verify) if held is not None]
    return [held.content for held in asked if held.content is not None]


def describe_version(prompt: Prompt) -> str:
    """All that a version is made of as one text, for a person to compare with another one's."""
    prompt = without_contents(prompt)
    lines = [prompt.body.rstrip("\n")]
    if prompt.examples:
        lines += ["", f"examples: {len(prompt.examples)}, placed {prompt.placement}"]
        lines += [_describe_example(example) for example in prompt.examples]
    options = {
        "mode": prompt.mode if prompt.mode != _PLAIN.mode else "",
        **{f"default of {name}": text for name, text in prompt.defaults.items()},
        **{f"type of {name}": kind for name, kind in prompt.kinds.items()},
        **{
            field: msgspec.json.encode(getattr(prompt, field)).decode()
            for field in prompt.__struct_fields__
            if field not in _BESIDE | _DESCRIBED and getattr(prompt, field) != getattr(_PLAIN, field)
        },
    }
    listed = [f"{name}: {value}" for name, value in options.items() if value]
    return "\n".join([*lines, *(["", *listed] if listed else [])]) + "\n"


def _describe_example(example: Example) -> str:
    values = "; ".join(f"{name}: {text}" for name, text in example.variables.items())
    return f"  {example.id}  {values} → {example.answer}"
