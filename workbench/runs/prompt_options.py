"""The sampling that a prompt's file asks for, below what a variant sets itself."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from workbench.errors import PromptError
from workbench.inference.types import Sampling
from workbench.prompting.prompt import Prompt

_CONSTRAINTS = ("grammar", "regex", "json_schema")
_USUAL = Sampling()


def with_options(sampling: Sampling, prompt: Prompt, keep: Collection[str] = ()) -> Sampling:
    """The sampling, in which each field that is at our default has the prompt's value. keep: fields that stay.

    Raises PromptError for a value that no such field can have.
    """
    changes = _find_changes(sampling, prompt, keep)
    if not changes:
        return sampling
    try:
        return msgspec.convert({**msgspec.structs.asdict(sampling), **changes}, Sampling, strict=False)
    except msgspec.ValidationError as error:
        raise PromptError(
            f"`model.options` of the prompt {prompt.name}: {error}", "Correct the prompt's file."
        ) from error


def describe_options(sampling: Sampling, prompt: Prompt, keep: Collection[str] = ()) -> str:
    """What the prompt's file sets of a variant's sampling, in words; empty where it is nothing."""
    return ", ".join(_describe(name, value) for name, value in _find_changes(sampling, prompt, keep).items())


def _find_changes(sampling: Sampling, prompt: Prompt, keep: Collection[str]) -> dict[str, Any]:
    constrained = any(getattr(sampling, name) for name in _CONSTRAINTS)
    return {
        name: value
        for name, value in prompt.options.items()
        if name not in keep
        and getattr(sampling, name) == getattr(_USUAL, name)
        and not (name in _CONSTRAINTS and constrained)
        and value != msgspec.to_builtins(getattr(_USUAL, name))
    }


def _describe(name: str, value: Any) -> str:
    if name == "json_schema":
        return name
    return f"{name} {' '.join(map(str, value)) if isinstance(value, list) else value}"
